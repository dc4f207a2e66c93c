"""A table for the audit of the checks, in the embedded Timestream: all types, NULLs, and names that need escaping.

The same rows every time. What is done with it is in `operations.audit`.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl
from botocore.exceptions import BotoCoreError, ClientError

from ts_migration.config import MigrationConfig
from ts_migration.local.timestream.seed import SeedSpec, seed
from ts_migration.objects import raise_aws_error
from ts_migration.windows import to_ns

if TYPE_CHECKING:
    from mypy_boto3_timestream_write.client import TimestreamWriteClient

START = to_ns(datetime(2023, 1, 1, tzinfo=UTC))
HOURS = 96
_HOUR_NS = 3_600 * 10**9
_PLANTS = (("Itaipu, 1", "S"), ("Belo Monte = 2", "N"), ("Tucuruí", None), ("Xingó \\ 4", "NE"))


def audit_rows() -> pl.DataFrame:
    """Hourly rows of four plants over four days, a nanosecond past the hour."""
    count = HOURS * len(_PLANTS)
    return pl.DataFrame(
        {
            "time": [START + hour * _HOUR_NS + 1 for hour in range(HOURS) for _ in _PLANTS],
            "plant": [plant for _ in range(HOURS) for plant, _ in _PLANTS],
            "subsystem": [subsystem for _ in range(HOURS) for _, subsystem in _PLANTS],
            "load_mw": [number / 7 - 30 for number in range(count)],
            "units": [None if number % 5 == 0 else 2**53 + number for number in range(count)],
            "online": [number % 3 == 0 for number in range(count)],
            "note": [f'say "{number}"\\n' if number % 4 else None for number in range(count)],
            "measured_at": pl.Series([START + number for number in range(count)], dtype=pl.Datetime("ns")),
        }
    )


@contextmanager
def audit_table(url: str, write: "TimestreamWriteClient") -> Iterator[MigrationConfig]:
    """A configuration whose one job is a fresh table of these rows; the table goes afterwards.

    Args:
        url: of the embedded Timestream.
        write: a client of it.
    """
    name = f"audit_{secrets.token_hex(4)}"
    spec = SeedSpec(
        database=name,
        table=name,
        kind="multi",
        dimensions=("plant", "subsystem"),
        measures=("load_mw", "units", "online", "note", "measured_at"),
        measure_name="metrics",
    )
    seed(url, spec, audit_rows())
    job = {
        "job_name": name,
        "source_database": name,
        "source_table": name,
        "target_bucket": name,
        "start_time": "2023-01-01T00:00:00Z",
        "end_time": "2023-01-31T23:59:59Z",
    }
    try:
        yield MigrationConfig.model_validate({"migration_jobs": [job]})
    finally:
        try:
            write.delete_table(DatabaseName=name, TableName=name)
            write.delete_database(DatabaseName=name)
        except (ClientError, BotoCoreError) as error:
            raise_aws_error(error, f"{name}.{name}")
