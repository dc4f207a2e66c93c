"""A table in the embedded Timestream with a bucket beside it, and the records that tests put into it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ts_migration.config import MigrationJob, parse_config
from ts_migration.objects import ExportBucket, TablePlace
from ts_migration.timestream.description import describe
from ts_migration.timestream.query import Retries, TimestreamQuery
from ts_migration.timestream.schema import TableSchema
from ts_migration.windows import Window

HOUR = 3_600 * 10**9
START = 1_672_531_200 * 10**9
"""2023-01-01T00:00:00Z"""


@dataclass(frozen=True)
class Source:
    """A table, a bucket, and the clients that reach them."""

    database: str
    table: str
    write: Any
    query_client: Any
    bucket: ExportBucket

    @property
    def query(self) -> TimestreamQuery:
        return TimestreamQuery(self.query_client, Retries(2, 0.01))

    @property
    def schema(self) -> TableSchema:
        return describe(self.query, self.database, self.table)

    @property
    def place(self) -> TablePlace:
        return TablePlace(f"{self.database}/{self.table}")

    def put(self, records: Sequence[dict[str, Any]]) -> None:
        for start in range(0, len(records), 100):
            self.write.write_records(
                DatabaseName=self.database, TableName=self.table, Records=list(records[start : start + 100])
            )

    def job(self, **keys: Any) -> MigrationJob:
        """A job over ten days of January 2023 in daily windows, unless keys say otherwise."""
        values = {
            "job_name": "job",
            "source_database": self.database,
            "source_table": self.table,
            "target_bucket": "target",
            "start_time": "2023-01-01",
            "end_time": "2023-01-11",
            "window": "day",
            "batch_size": 10,
        } | keys
        lines = "\n".join(f"    {key}: {value}" for key, value in values.items())
        return parse_config("migration_jobs:\n  -\n" + lines).migration_jobs[0]


def multi(index: int, **changes: Any) -> dict[str, Any]:
    """A multi-measure record: hourly, three plants, values that need their last digit."""
    values = {
        "load": ("DOUBLE", repr(index * 1.1 - 20)),
        "count": ("BIGINT", str(2**62 + index)),
        "open": ("BOOLEAN", "true" if index % 2 else "false"),
        "text": ("VARCHAR", f'a "b" \\{index}'),
        "at": ("TIMESTAMP", str(START + index)),
    }
    kept = list(values.items())[: 5 if index % 5 else 2]
    plant = ["SE/CO", "S ul", "N,E=x"][index % 3]
    return {
        "Dimensions": [{"Name": "plant", "Value": plant}, *([{"Name": "zone", "Value": "z"}] if index % 2 else [])],
        "MeasureName": "balance",
        "MeasureValueType": "MULTI",
        "Time": str(START + index * HOUR + index),
        "TimeUnit": "NANOSECONDS",
        "MeasureValues": [{"Name": name, "Type": kind, "Value": value} for name, (kind, value) in kept],
    } | changes


def single(index: int, name: str, kind: str, value: str, **changes: Any) -> dict[str, Any]:
    """A single-measure record, hourly."""
    return {
        "Dimensions": [{"Name": "plant", "Value": f"p{index % 3}"}],
        "MeasureName": name,
        "MeasureValueType": kind,
        "MeasureValue": value,
        "Time": str(START + index * HOUR),
        "TimeUnit": "NANOSECONDS",
    } | changes


def day(number: int) -> Window:
    """The n-th day of January 2023, 1 the first."""
    start = START + (number - 1) * 24 * HOUR
    return Window(start, start + 24 * HOUR, f"2023-01-{number:02d}")
