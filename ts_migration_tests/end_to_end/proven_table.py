"""A small table, migrated and proven in three windows, that tests spoil: what they may do to it, and how it is mended."""

import gzip
import io
import json
import os
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ts_migration.aws import client
from ts_migration.config import MigrationConfig, MigrationJob, parse_config
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.deletion import delete_points
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.local.timestream.seed import SeedSpec, seed
from ts_migration.manifests import ExportManifest, LineProtocolManifest, VerdictRecord, VerdictsManifest
from ts_migration.objects import BULK_PREFIX, ExportBucket, TablePlace, WindowPlace
from ts_migration.orchestration.resources import current_environment, target_of
from ts_migration.stages.check import check_window
from ts_migration.stages.convert import convert_window
from ts_migration.stages.export import export_window
from ts_migration.stages.load import load_window
from ts_migration.stages.table import begin_table, frozen_mapping
from ts_migration.timestream.description import describe
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.timestream.schema import TableSchema
from ts_migration.windows import Window, to_ns
from ts_migration_tests.embedded_stack import DATABASE, EmbeddedStack, clean_environment

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
SAMPLED_ROWS = 8
SEED = 7
TABLE = "plants"
SPEC = SeedSpec(
    database=DATABASE,
    table=TABLE,
    kind="multi",
    dimensions=("plant", "subsystem"),
    measures=("load_mw", "reserve_mw", "units", "note"),
    measure_name="metrics",
)
CONFIG = f"""
migration_jobs:
  - job_name: plants
    source_database: {DATABASE}
    source_table: {TABLE}
    target_bucket: {TABLE}
    start_time: 2023-01-01T00:00:00Z
    end_time: 2023-03-31T23:59:59Z
    batch_size: 50
    shard_group_duration: 7d
migration_settings:
  retry_delay_seconds: 0.01
validation_rules:
  sample_size: {SAMPLED_ROWS}
"""


def at(text: str) -> int:
    """ns of a time in UTC."""
    return to_ns(datetime.fromisoformat(text).replace(tzinfo=UTC))


START = at("2023-01-01")
SPOILED = 1
"""February is the window that is spoiled."""
FIRST = at("2023-02-01") + 1
"""Time of February's first rows."""
EMPTY_SHARD = (at("2023-02-06"), at("2023-02-13"))
"""A week without rows, Monday to Monday: a shard group of its own."""


ZERO = 249
"""Number of the row whose `reserve_mw` is 0: Tucurui's first of February."""


def plant_rows() -> pl.DataFrame:
    """Rows of two plants every six hours, one nanosecond after the hour; `units` and `note` are NULL now and then."""
    times = [
        time for time in range(START + 1, at("2023-04-01"), 6 * HOUR) if not EMPTY_SHARD[0] <= time < EMPTY_SHARD[1]
    ]
    count = 2 * len(times)
    return pl.DataFrame(
        {
            "time": [time for time in times for _ in range(2)],
            "plant": ["Itaipu", "Tucurui"] * len(times),
            "subsystem": ["S", None] * len(times),
            "load_mw": [number / 7 - 30 for number in range(count)],
            "reserve_mw": [0.0 if number == ZERO else number / 3 + 1000 for number in range(count)],
            "units": [None if number % 5 == 0 else number for number in range(count)],
            "note": [f"shift {number}" if number % 4 else None for number in range(count)],
        },
        schema_overrides={"subsystem": pl.String},
    )


@dataclass
class ProvenTable:
    """The table with the clients that reach both its sides, and copies of everything as it was when it was proven."""

    config: MigrationConfig
    query: TimestreamQuery
    bucket: ExportBucket
    target: Target
    objects: dict[str, bytes] = field(default_factory=dict)

    @property
    def job(self) -> MigrationJob:
        return self.config.migration_jobs[0]

    @property
    def windows(self) -> list[Window]:
        return list(self.job.grid)

    @property
    def spoiled(self) -> Window:
        return self.windows[SPOILED]

    @property
    def place(self) -> TablePlace:
        return self.config.place(self.job)

    @property
    def own(self) -> WindowPlace:
        return self.place.window(self.spoiled.key)

    @property
    def mapping(self) -> Mapping:
        return frozen_mapping(self.job, self.place, self.bucket)

    def describe(self) -> TableSchema:
        return describe(self.query, self.job.source_database, self.job.source_table)

    # The stages

    def export(self, window: Window) -> None:
        schema = self.describe()
        begin_table(self.job, self.place, schema, self.bucket)
        export_window(self.job, self.place, window, schema, self.query, self.bucket)

    def convert(self, window: Window) -> LineProtocolManifest:
        return convert_window(self.job, self.place, window, self.mapping, self.bucket)

    def load(self, window: Window) -> None:
        load_window(self.job, self.place, window, self.mapping, self.bucket, self.target)

    def check(self, window: Window) -> VerdictsManifest:
        return check_window(self.config, self.job, window, self.bucket, self.query, self.target, seed=SEED)

    def migrate(self) -> None:
        """All windows, and remember how everything was."""
        for window in self.windows:
            self.export(window)
            self.convert(window)
            self.load(window)
        assert [self.check(window).status for window in self.windows] == ["proven"] * 3
        for prefix in (self.place.bulk, self.place.proof):
            self.objects |= {found.key: self.bucket.get(found.key) for found in self.bucket.list(prefix)}

    def verdicts(self) -> dict[str, VerdictRecord]:
        """Check the spoiled window. Every other window must still be proven."""
        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(self.check, self.windows))
        others = {manifest.window.key: manifest.status for index, manifest in enumerate(found) if index != SPOILED}
        assert set(others.values()) == {"proven"}, others
        assert found[SPOILED].status == "failed"
        return {verdict.check: verdict for verdict in found[SPOILED].verdicts}

    # Spoiling

    def write(self, *lines: str) -> None:
        """Lines of line protocol, without the measurement, into the bucket."""
        query = {"org": self.target.org, "bucket": self.job.target_bucket, "precision": "ns"}
        text = "\n".join(f"{self.job.measurement}{line}" for line in lines)
        answer = self.target.request("POST", "/api/v2/write", query, body=text.encode())
        assert answer.status == 204, answer

    def delete(self, start_ns: int, end_ns: int, **tags: str) -> None:
        """Points of [start, end)."""
        delete_points(self.target, self.job.target_bucket, self.job.measurement, Window(start_ns, end_ns), tags)

    def restore(self) -> None:
        """Put back every object and every point."""
        for prefix in (self.place.bulk, self.place.proof):
            for found in list(self.bucket.list(prefix)):
                if found.key not in self.objects:
                    self.bucket.delete(found.key)
        for key, body in self.objects.items():
            if self.bucket.get_or_none(key) != body:
                self.bucket.put(key, body)
        self.delete(START, at("2023-04-01"))
        query = {"org": self.target.org, "bucket": self.job.target_bucket, "precision": "ns"}
        for key, body in self.objects.items():
            if key.startswith(BULK_PREFIX) and key.endswith(".lp.gz"):
                answer = self.target.request("POST", "/api/v2/write", query, body=gzip.decompress(body))
                assert answer.status == 204, answer

    def rewrite_member(self, number: int, change: Callable[[str], str], *, adjust_index: bool) -> None:
        """Change the text of one member of the window's line protocol file; with `adjust_index`, its CRC and lengths."""
        index_key = f"{self.own.line_protocol}members.json"
        index = json.loads(self.bucket.get(index_key))
        members = index["members"]
        part = members[number]["part"]
        body = self.bucket.get(part)
        pieces = [body[one["offset"] : one["offset"] + one["length"]] for one in members]
        text = change(gzip.decompress(pieces[number]).decode())
        pieces[number] = gzip.compress(text.encode(), mtime=0)
        self.bucket.put(part, b"".join(pieces))
        if not adjust_index:
            return
        offset = 0
        for member, piece in zip(members, pieces, strict=True):
            member.update(offset=offset, length=len(piece), crc32=zlib.crc32(piece))
            offset += len(piece)
        members[number]["text_bytes"] = len(text)
        self.bucket.put(index_key, json.dumps(index).encode())

    def load_anew(self) -> None:
        """Empty the spoiled window and load it again from what lies in S3."""
        self.delete(self.spoiled.start_ns, self.spoiled.end_ns)
        self.bucket.delete(self.own.manifest("load"))
        self.bucket.delete_prefix(self.own.ledger)
        self.load(self.spoiled)

    def rewrite_export(self, change: Callable[[pa.Table], pa.Table]) -> None:
        """Change the spoiled window's Parquet file, and its manifest so that nothing shows it."""
        key = self.own.manifest("export")
        manifest = ExportManifest.model_validate_json(self.bucket.get(key))
        (file,) = manifest.files
        rows = change(pq.read_table(io.BytesIO(self.bucket.get(file.key))))
        body = io.BytesIO()
        pq.write_table(rows, body, use_deprecated_int96_timestamps=True, compression="gzip")
        self.bucket.put(file.key, body.getvalue())
        changed = file.model_copy(update={"bytes": len(body.getvalue()), "rows": rows.num_rows})
        manifest.model_copy(update={"files": (changed,), "rows": rows.num_rows, "bytes": changed.bytes}).write(
            self.bucket, key
        )


def seed_plants(stack: EmbeddedStack, table: str) -> None:
    """The plants' rows in a table of one's own, on a stack that other tests share."""
    seed(stack.timestream_url, SPEC.model_copy(update={"table": table}), plant_rows())


@contextmanager
def stack_with_plants(folder: Path, config: str, *tables: str) -> Iterator[tuple[EmbeddedStack, ProvenTable]]:
    """An embedded stack with these tables, each of the plants' rows; the first job's table, not migrated yet.

    The variables of this process lead to the stack.
    """
    stack = EmbeddedStack(folder)
    with pytest.MonkeyPatch.context() as patch:
        stack.up()
        try:
            for name in os.environ.keys() - clean_environment().keys():
                patch.delenv(name)
            for name, value in stack.variables.items():
                patch.setenv(name, value)
            for table in tables:
                seed(stack.timestream_url, SPEC.model_copy(update={"table": table}), plant_rows())
            yield (
                stack,
                ProvenTable(
                    parse_config(config),
                    TimestreamQuery(client("timestream-query")),
                    ExportBucket(client("s3"), current_environment().s3_export_bucket),
                    target_of(current_environment()),
                ),
            )
        finally:
            stack.down()


@contextmanager
def proven_table(folder: Path) -> Iterator[ProvenTable]:
    """An embedded stack with the table, proven."""
    with stack_with_plants(folder, CONFIG, TABLE) as (_, table):
        table.migrate()
        yield table
