"""The main job on real input: the hourly load of the Brazilian grid, by the commands that a user types.

Two jobs of the one table: one is loaded as line protocol, the other as shard files. One year by default; FULL=1 takes all of it, 2000-01-01 to 2024-11-24, 873,016 rows of which 259 have no value.
"""

import math
import os
import random
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ts_migration_tests.embedded_stack import DATABASE, EmbeddedStack
from ts_migration_tests.end_to_end.manifests import Objects
from ts_migration_tests.end_to_end.ons import Row, rows_of
from ts_migration_tests.end_to_end.target import count, plain_client, records, values
from ts_migration_tests.shared_material import shared

pytestmark = pytest.mark.stack

FULL = bool(os.environ.get("FULL"))
FILES = ("CURVA_CARGA_2023.csv.gz",)
ALL_FILES = ("CURVA_CARGA_2000-2022.tar.xz", "CURVA_CARGA_2023.csv.gz", "CURVA_CARGA_2024.csv.gz")
START, END = ("2000-01-01", "2024-11-24") if FULL else ("2023-01-01", "2023-12-31")
WINDOWS = 299 if FULL else 12
FIELD = "val_cargaenergiahomwmed"
TIMEOUT_S = 3600 if FULL else 300
LINES, BULK = "load_curve", "load_curve_bulk"
PLACES = {LINES: f"{DATABASE}/load_curve", BULK: f"{DATABASE}/load_curve@in-bulk"}
"""Bucket of each job -> where its manifests lie."""
EACH = pytest.mark.parametrize("bucket", PLACES)
# Windows of a month: the default.
CONFIG = f"""\
migration_jobs:
  - job_name: "Load curve"
    source_database: "{DATABASE}"
    source_table: "load_curve"
    target_bucket: "{LINES}"
    start_time: "{START}T00:00:00Z"
    end_time: "{END}T23:59:59Z"
  - job_name: "In bulk"
    source_database: "{DATABASE}"
    source_table: "load_curve"
    target_bucket: "{BULK}"
    load: bulk
    start_time: "{START}T00:00:00Z"
    end_time: "{END}T23:59:59Z"
migration_settings:
  parallel_jobs: 2
"""


@dataclass
class Migrated:
    """The migration as its commands left it, and the source as an independent reader sees it."""

    stack: EmbeddedStack
    rows: list[Row]
    answers: dict[str, str]
    seconds: dict[str, float]

    @property
    def with_value(self) -> list[Row]:
        return [row for row in self.rows if row.texts[FIELD]]


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migrated]:
    files = [shared(f"data/ons/{name}") for name in (ALL_FILES if FULL else FILES)]
    stack = EmbeddedStack(tmp_path_factory.mktemp("ons"))
    folder = stack.folder / "ons"
    folder.mkdir()
    for path in files:
        (folder / path.name).symlink_to(path)
    stack.write_config(CONFIG)
    answers, seconds = {}, {}
    try:
        for command in ("local up", "local seed --ons ons", "execute", "validate", "status"):
            began = time.monotonic()
            answer = stack.run(*command.split(), timeout_s=TIMEOUT_S)
            assert answer.returncode == 0, f"{command}: {answer.stdout}{answer.stderr}"
            answers[command], seconds[command] = answer.stdout, time.monotonic() - began
        yield Migrated(stack, [row for path in files for row in rows_of(path)], answers, seconds)
    finally:
        stack.down()


def bits(value: float) -> bytes:
    """A double, to its last bit."""
    return struct.pack(">d", value)


def test_the_source_is_what_it_is_known_to_be(migrated):
    assert len(migrated.rows) == (873_016 if FULL else 35_040)
    assert len(migrated.with_value) == (872_757 if FULL else 35_040)
    assert f"{len(migrated.rows):,}" in migrated.answers["local seed --ons ons"]


@EACH
def test_every_window_is_proven_and_the_table_is_migrated(migrated, bucket):
    objects = Objects(migrated.stack, PLACES[bucket])
    assert len(objects.windows) == WINDOWS
    assert set(objects.statuses().values()) == {"proven"}
    assert len(objects.statuses()) == WINDOWS
    rolled_up = objects.migrated()
    assert (rolled_up["status"], rolled_up["windows"]) == ("proven", WINDOWS)
    assert rolled_up["values"] == len(migrated.with_value)


def test_every_command_says_that_all_is_proven(migrated):
    checks = f"{5 * WINDOWS:,} of {5 * WINDOWS:,}"
    assert migrated.answers["execute"].count(checks) == len(PLACES)
    assert migrated.answers["validate"].count(checks) == len(PLACES)
    assert "Every value is proven" in migrated.answers["validate"]
    assert " migrated " in migrated.answers["status"]


def test_shard_files_hold_the_digests_that_line_protocol_has(migrated):
    lines, bulk = (Objects(migrated.stack, place) for place in PLACES.values())
    found = [bulk.read(key, "line_protocol") for key in bulk.windows]
    assert {manifest["form"] for manifest in found} == {"bulk"}
    assert [manifest["expected"] for manifest in found] == [
        lines.read(key, "line_protocol")["expected"] for key in lines.windows
    ]


@EACH
def test_the_bucket_holds_as_many_values_as_the_source_has_texts(migrated, bucket):
    with plain_client(migrated.stack) as client:
        found = count(client, bucket, "load_curve", "1990-01-01T00:00:00Z", "2030-01-01T00:00:00Z")
    assert found == {FIELD: len(migrated.with_value)}


@EACH
def test_values_asked_by_flux_are_the_sources_to_the_last_bit(migrated, bucket):
    chosen = random.Random(11).sample(migrated.with_value, 12)
    with plain_client(migrated.stack) as client:
        for row in chosen:
            at = f"time(v: {row.time})"
            flux = f"""from(bucket: "{bucket}") |> range(start: {at}, stop: time(v: {row.time + 1}))
                |> filter(fn: (r) => r._measurement == "load_curve" and r._field == "{FIELD}")
                |> filter(fn: (r) => r.id_subsistema == "{row.id}" and r.nom_subsistema == "{row.name}")"""
            (record,) = records(client, flux)
            assert bits(record.get_value()) == bits(float(row.texts[FIELD])), row


@EACH
def test_one_month_read_back_whole_is_the_source_value_by_value(migrated, bucket):
    # The file of a year ends with its last hour; February has the odd length.
    month = {
        (row.id, row.name, FIELD, row.time): float(row.texts[FIELD])
        for row in migrated.with_value
        if 1_675_209_600 <= row.time // 1_000_000_000 < 1_677_628_800
    }
    assert len(month) == 4 * 28 * 24
    with plain_client(migrated.stack) as client:
        found = values(client, bucket, "load_curve", "2023-02-01T00:00:00Z", "2023-03-01T00:00:00Z")
    assert found.keys() == month.keys()
    assert [key for key in month if bits(found[key]) != bits(month[key])] == []
    assert not any(math.isnan(value) for value in found.values())


@pytest.mark.skipif(not FULL, reason="only with FULL=1: measured on the 24 years")
def test_the_seconds_of_every_stage_are_told(migrated, capsys):
    stages = {bucket: Objects(migrated.stack, place).seconds() for bucket, place in PLACES.items()}
    told = [("commands", migrated.seconds), *((f"stages of {bucket}", taken) for bucket, taken in stages.items())]
    with capsys.disabled():
        for what, seconds in told:
            text = ", ".join(f"{name} {took:.1f}" for name, took in seconds.items())
            sys.stdout.write(f"\nseconds of the {what}: {text}\n")
    assert all(all(taken.values()) for taken in stages.values())
