"""What a plain client sees in the bucket: influxdb_client and Flux, as an operator's own program would ask."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from influxdb_client import InfluxDBClient

from ts_migration_tests.embedded_stack import EmbeddedStack

NS = 1_000_000_000
PointValue = tuple[str, str, str, int]
"""id, name, field and time (ns) of a value."""


@contextmanager
def plain_client(stack: EmbeddedStack) -> Iterator[InfluxDBClient]:
    """influxdb_client by the three variables of the guide."""
    names = stack.variables
    with InfluxDBClient(
        url=names["INFLUXDB_URL"], token=names["INFLUXDB_TOKEN"], org=names["INFLUXDB_ORG"], timeout=120_000
    ) as client:
        yield client


def records(client: InfluxDBClient, flux: str) -> Iterator[Any]:
    """Records of a query, one by one."""
    yield from client.query_api().query_stream(flux)


def count(client: InfluxDBClient, bucket: str, measurement: str, start: str, stop: str) -> dict[str, int]:
    """Values per field in [start, stop)."""
    flux = f"""from(bucket: "{bucket}") |> range(start: {start}, stop: {stop})
        |> filter(fn: (r) => r._measurement == "{measurement}") |> group(columns: ["_field"]) |> count()"""
    return {record["_field"]: record.get_value() for record in records(client, flux)}


def values(client: InfluxDBClient, bucket: str, measurement: str, start: str, stop: str) -> dict[PointValue, float]:
    """Every value in [start, stop) by id, name, field and time."""
    flux = f"""from(bucket: "{bucket}") |> range(start: {start}, stop: {stop})
        |> filter(fn: (r) => r._measurement == "{measurement}")
        |> keep(columns: ["_time", "_value", "_field", "id_subsistema", "nom_subsistema"])"""
    return {
        (record["id_subsistema"], record["nom_subsistema"], record.get_field(), ns(record.get_time())): (
            record.get_value()
        )
        for record in records(client, flux)
    }


def ns(moment: Any) -> int:
    """ns of an aware datetime to the microsecond, by integers."""
    from ts_migration_tests.end_to_end.ons import EPOCH

    passed = moment - EPOCH
    return (passed.days * 86_400 + passed.seconds) * NS + passed.microseconds * 1000
