"""There and back: points that the world wrote go through our encoder into a server, and our reader finds them again.

The official encode corpus, real captures of Telegraf and Prometheus, and tables that hypothesis makes up. With
INFLUXDB_URL, INFLUXDB_TOKEN and INFLUXDB_ORG set they go to that server, else to the embedded one.
"""

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from pydantic import SecretStr

from ts_migration.config import MappingOptions
from ts_migration.errors import Refused
from ts_migration.influxdb import reader
from ts_migration.influxdb.connection import Target as Connection
from ts_migration.line_protocol.encoder import Encoded, encode
from ts_migration.line_protocol.resolution import resolve
from ts_migration.timestream.schema import ColumnType
from ts_migration.windows import Window
from ts_migration_tests.line_protocol.points import Point, bits, parsed
from ts_migration_tests.line_protocol.tables import NUMBER, Row, Table, tables
from ts_migration_tests.line_protocol.told import float_of, point_of
from ts_migration_tests.local.influxdb.conformance import Target
from ts_migration_tests.shared_material import shared

EVER = Window(-(2**63) + 2, 2**63 - 1)
COLUMN_TYPES = {
    "float": ColumnType.DOUBLE, "integer": ColumnType.BIGINT, "string": ColumnType.VARCHAR, "boolean": ColumnType.BOOLEAN
}  # fmt: skip
CORPUS_TYPES = {"float": "float", "int": "integer", "uint": "unsigned", "string": "string", "bool": "boolean"}
_LONG = bool(os.environ.get("LONG") or os.environ.get("FULL"))

Stored = dict[tuple[Any, ...], dict[str, tuple[str, Any]]]
"""(measurement, tags, time) -> field key -> (type, value)."""


def test_every_point_of_the_encode_corpus_comes_back_to_the_bit(server: Target) -> None:
    outcomes: Counter[str] = Counter()
    for case in _encode_corpus():
        point, point_types = (
            case["input"]["point"],
            {kind for each in case["input"]["point"]["fields"] for kind in each["value"]},
        )
        assert case["input"]["precision"] == "1ns"
        if "uint" in point_types:
            outcomes["uint: Timestream has no such type"] += 1
            continue
        table = _corpus_table(point)
        encoded = _encoded(table)
        assert (encoded.points, len(encoded.rejects), encoded.empty) == (1, 0, 0), point
        told = point_of(table, table.rows[0])
        assert told is not None
        assert _written_and_read(server, bytes(encoded.text), [told[0]]) == _stored([told])
        if "error" in case["output"]:
            assert case["output"]["error"] == 'invalid tag value something=""'
            assert told[1] == ()
            outcomes["an empty tag value: no tag"] += 1
        else:
            outcomes["exact"] += 1
            assert told == _same_as(point)
    assert outcomes == {"exact": 114, "an empty tag value: no tag": 1}


def test_what_the_corpus_wants_written_is_what_our_encoder_means() -> None:
    """The corpus spells numbers in ways of its own: so its lines and ours are compared by what they say."""
    different = []
    for case in _encode_corpus():
        if "result" in case["output"]:
            ours = parsed(bytes(_encoded(_corpus_table(case["input"]["point"])).text))
            if ours != parsed(case["output"]["result"].encode()):
                different.append(case["input"]["point"]["fields"][0]["value"])
    # Their encoder writes a line feed as backslash and n, which servers keep as these two characters.
    assert different == [{"string": "foo\nbar"}]


@pytest.mark.parametrize(
    ("name", "unit", "lines"),
    [("air_and_water", 10**9, 12), ("temperature", 10**9, 6), ("metrics", 1, 1_000), ("prometheus", 1, 554)],
)
def test_a_real_capture_comes_back_to_the_bit_and_as_the_server_reads_the_file_itself(
    server: Target, name: str, unit: int, lines: int
) -> None:
    body = shared(f"data/line_protocol/{name}.lp").read_bytes()
    written = [(point[0], point[1], point[2] * unit, point[3]) for point in parsed(body)]
    assert len(written) == lines
    stored = _stored(written)  # metrics says some points twice, with other values; Timestream cannot
    points = [
        (*place, tuple((key, *value) for key, value in sorted(fields.items()))) for place, fields in stored.items()
    ]
    measurements = sorted({point[0] for point in points})
    ours = b""
    for measurement in measurements:
        table = _table([point for point in points if point[0] == measurement])
        encoded = _encoded(table)
        assert encoded.points == len(table.rows)
        ours += bytes(encoded.text)
    assert sorted(parsed(ours)) == sorted(points)
    assert _written_and_read(server, ours, measurements) == stored
    assert stored == _written_and_read(server, body, measurements, precision="s" if unit > 1 else "ns")


@settings(
    max_examples=300 if _LONG else 25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)
@given(table=tables())
def test_any_table_that_can_be_said_comes_back_from_the_server(server: Target, table: Table) -> None:
    try:
        encoded = _encoded(table)
    except Refused:
        assume(False)
    apart = set(encoded.rejects.rows[NUMBER])
    told = [point_of(table, row) for number, row in enumerate(table.rows) if number not in apart]
    points = [point for point in told if point is not None]
    assume(points and len({point[:3] for point in points}) == len(points))
    assert _written_and_read(server, bytes(encoded.text), [table.measurement]) == _stored(points)


def _encode_corpus() -> list[dict[str, Any]]:
    with gzip.open(shared("data/line_protocol/corpus.json.gz")) as file:
        cases = list(json.load(file)["encode"].values())
    assert len(cases) == 115
    return cases


def _encoded(table: Table) -> Encoded:
    return encode(table.frame, resolve(table.schema, table.options, table.measurement))


def _same_as(point: dict[str, Any]) -> Point:
    """A point of the corpus as the tests compare points."""
    fields = []
    for each in point["fields"]:
        ((kind, value),) = each["value"].items()
        fields.append((each["key"], CORPUS_TYPES[kind], bits(float(value)) if kind == "float" else value))
    tags = tuple(sorted((tag["key"], tag["value"]) for tag in point["tags"]))
    return point["name"], tags, point["time"], tuple(sorted(fields))


def _corpus_table(point: dict[str, Any]) -> Table:
    return _table([_same_as(point)])


def _table(points: list[Point]) -> Table:
    """A table that holds the points of one measurement, as multi-measure records."""
    types: dict[str, ColumnType] = {}
    for _, _, _, fields in points:
        for key, kind, _ in fields:
            assert types.setdefault(key, COLUMN_TYPES[kind]) is COLUMN_TYPES[kind]
    dimensions = sorted({key for _, tags, _, _ in points for key, _ in tags})
    rows = []
    for _, tags, time_ns, fields in points:
        values: dict[str, Any] = dict.fromkeys([*dimensions, *types]) | dict(tags)
        values |= {key: float_of(value) if kind == "float" else value for key, kind, value in fields}
        rows.append(Row(values | {"measure_name": "row", "time_ns": time_ns}, multi=True))
    options = MappingOptions(keep_measure_name=False)
    return Table(tuple(dimensions), types, ("row",), {}, options, points[0][0], tuple(rows))


def _stored(points: Iterable[Point]) -> Stored:
    """Points as a server keeps them: fields of one series and time together, the last of a key."""
    found: Stored = {}
    for *place, fields in points:
        found.setdefault(tuple(place), {}).update({key: (kind, value) for key, kind, value in fields})
    return found


def _written_and_read(server: Target, body: bytes, measurements: list[str], precision: str = "ns") -> Stored:
    """What our reader finds in a new bucket after a body."""
    bucket = server.new_bucket()
    query = {"org": server.org, "bucket": bucket, "precision": precision}
    answer = server.request("POST", "/api/v2/write", query, body, {"Authorization": f"Token {server.token}"})
    assert (answer.status, answer.data) == (204, b"")
    connection = Connection(server.url, server.org, SecretStr(server.token))
    found: Stored = {}
    for measurement in measurements:
        for block in reader.points(connection, bucket, measurement, EVER):
            for column in block.columns:
                for at, time_ns in enumerate(block.times.tolist()):
                    if column.valid is None or column.valid[at]:
                        place = (block.measurement, tuple(sorted(block.tags.items())), time_ns)
                        value = column.values[at]
                        plain = (
                            bits(float(value))
                            if column.kind == "float"
                            else value
                            if isinstance(value, str)
                            else value.item()
                        )
                        found.setdefault(place, {})[column.field] = (str(column.kind), plain)
    return found
