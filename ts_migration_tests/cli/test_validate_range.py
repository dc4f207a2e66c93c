"""`validate` for one table and a range by the guide's words, in a folder without a configuration; and the audit."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ts_migration.aws import client
from ts_migration.cli.guard import guarded
from ts_migration.cli.main import app
from ts_migration.cli.validate_range import RangeFlags, is_whole_job, job_meant, request_of
from ts_migration.cli.work import begin
from ts_migration.config import Environment
from ts_migration.config_values import exclusive_end_ns
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.retries import RetryPolicy
from ts_migration.influxdb.typed_lines import write_points
from ts_migration.local.audit_table import audit_table
from ts_migration.objects import CHECKS_PREFIX, ExportBucket
from ts_migration.operations.audit_subject import migrated
from ts_migration.operations.target import target_of
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.validation.refused_lines import refused_blocks
from ts_migration.windows import to_ns
from ts_migration_tests.embedded_stack import CHECKOUT, EmbeddedStack, clean_environment, run_command

pytestmark = pytest.mark.stack

SCRIPT = CHECKOUT / "scripts" / "validate_migration.py"


@dataclass
class Loaded:
    """A loaded table, and a folder that knows the servers and nothing of a configuration."""

    name: str
    folder: Path
    variables: dict[str, str]
    bucket: ExportBucket
    target: Target

    def flags(self, start: str, end: str, table: str = "", bucket: str = "") -> list[str]:
        """The guide's flags."""
        named = ["--database", self.name, "--table", table or self.name, "--bucket", bucket or self.name]
        return [*named, "--start-time", start, "--end-time", end]

    def validate(self, *arguments: str) -> int:
        """The command in this process, in the folder; its exit code."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            patch.setenv("DAGSTER_HOME", str(self.folder / "dagster"))
            with pytest.raises(SystemExit) as ended:
                guarded(lambda: app(["validate", *arguments]))
        assert not list(self.bucket.list(CHECKS_PREFIX))
        return int(ended.value.code or 0)

    @property
    def results(self) -> list[Path]:
        return sorted(self.folder.glob("migration_results_*.json"))


@pytest.fixture(scope="module")
def loaded(embedded_stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    known = embedded_stack.variables
    variables = {name: known[name] for name in known if not name.startswith(("TS_MIGRATION", "DAGSTER"))}
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - clean_environment().keys():
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        bucket = ExportBucket(client("s3"), variables["S3_EXPORT_BUCKET"])
        query, target = TimestreamQuery(client("timestream-query")), target_of(Environment.read(os.environ))
        with (
            audit_table(embedded_stack.timestream_url, client("timestream-write")) as config,
            migrated(config, bucket, query, target) as (job, _),
        ):
            folder = tmp_path_factory.mktemp("range")
            yield Loaded(job.source_table, folder, variables, bucket, target)


def test_one_day_of_a_monthly_window_is_proven_by_the_guides_command_with_reports_and_cost(loaded: Loaded) -> None:
    before = len(loaded.results)
    flags = loaded.flags("2023-01-02T00:00:00Z", "2023-01-02T23:59:59Z")
    answer = run_command(str(SCRIPT), *flags, cwd=loaded.folder, variables=loaded.variables)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "Every value is proven" in answer.stdout
    assert "billed as at least" in answer.stdout
    assert f"frozen in s3://{loaded.bucket.name}/manifests/{loaded.name}/{loaded.name}/table.json" in answer.stderr
    content = json.loads(loaded.results[before].read_text())
    (window,) = content["tables"][0]["windows"]
    assert (content["kind"], content["status"], window["rows"]) == ("validation", "proven", 96)
    assert (window["start"], window["end"]) == ("2023-01-02T00:00:00Z", "2023-01-03T00:00:00Z")
    assert [check["check"] for check in window["checks"]] == [
        "record_count", "checksum", "sample", "schema", "coverage",
    ]  # fmt: skip
    assert list(loaded.folder.glob("migration_report_*.html"))
    assert "proven after" in (loaded.folder / "migration_validation.log").read_text()


def test_parts_of_a_range_are_checked_side_by_side_and_the_part_with_a_fault_is_named(
    loaded: Loaded, capfd: pytest.CaptureFixture[str]
) -> None:
    stray = f"{loaded.name},measure_name=metrics,plant=new load_mw=1 {to_ns(datetime(2023, 1, 4, tzinfo=UTC))}"
    write_points(loaded.target, loaded.name, refused_blocks([stray]), RetryPolicy(0))
    assert loaded.validate(*loaded.flags("2023-01-01", "2023-01-05"), "--parallel-jobs", "4") == 1
    told = capfd.readouterr()
    assert "3 of 4 proven" in told.out
    assert "extra: " in told.out
    (error,) = [line for line in told.err.splitlines() if line.startswith("error: ")]
    assert "from 2023-01-04T00:00:00Z until 2023-01-05T00:00:00Z: record_count, checksum, coverage failed" in error


@pytest.mark.parametrize(
    ("start", "end", "named", "words"),
    [
        ("2023-01-01", "2023-01-02", {"table": "nope"}, "there is no table 'nope'"),
        ("2023-01-01", "2023-01-02", {"bucket": "nope"}, "there is no bucket 'nope'"),
        ("2013-01-01", "2013-01-02", {}, "neither Timestream nor the bucket"),
        ("2023-01-02", "2023-01-01", {}, "holds no time"),
        ("yesterday", "2023-01-01", {}, "is no time"),
    ],
)
def test_what_cannot_be_checked_ends_with_2_and_writes_no_report(
    loaded: Loaded, capfd: pytest.CaptureFixture[str], start: str, end: str, named: dict[str, str], words: str
) -> None:
    before = loaded.results
    assert loaded.validate(*loaded.flags(start, end, **named)) == 2
    assert words in capfd.readouterr().err
    assert loaded.results == before


def test_flags_that_leave_something_open_are_told_where_there_is_no_configuration(
    loaded: Loaded, capfd: pytest.CaptureFixture[str]
) -> None:
    assert loaded.validate("--table", loaded.name) == 2
    assert "not --database, --bucket, --start-time, --end-time" in capfd.readouterr().err


def test_a_mistake_in_the_mapping_is_told_with_the_keys_that_there_are(
    loaded: Loaded, capfd: pytest.CaptureFixture[str]
) -> None:
    flags = loaded.flags("2023-01-02", "2023-01-03")
    assert loaded.validate(*flags, "--mapping", "{measurment: x}") == 2
    assert "its keys are measurement, dimensions_as_fields" in capfd.readouterr().err


def test_a_bucket_without_the_measurement_fails_and_tells_the_measurements_that_it_has(
    loaded: Loaded, capfd: pytest.CaptureFixture[str]
) -> None:
    flags = loaded.flags("2023-01-02", "2023-01-03")
    assert loaded.validate(*flags, "--measurement", "plants") == 1
    told = capfd.readouterr().err
    assert "mapping: the options given" in told
    assert f"has no measurement 'plants'; it has '{loaded.name}'. Next: name it by --measurement" in told


def configuration(loaded: Loaded) -> str:
    """A configuration of the table's one job, at the path that is given back."""
    path = loaded.folder / "own.yaml"
    path.write_text(
        f"""migration_jobs:
  - {{job_name: plants, source_database: {loaded.name}, source_table: {loaded.name}, target_bucket: {loaded.name},
      start_time: "2023-01-01T00:00:00Z", end_time: "2023-01-31T23:59:59Z"}}
"""
    )
    return str(path)


@pytest.mark.parametrize(
    ("flags", "whole"),
    [
        (RangeFlags(table="{}"), True),
        (RangeFlags(table="{}", start="2023-01-01", end="2023-01-31T23:59:59Z"), True),
        (RangeFlags(table="{}", start="2023-01-01", end="2023-02-01"), True),
        (RangeFlags(table="{}", start="2023-01-02"), False),
        (RangeFlags(table="{}", end="2023-02-02"), False),
        (RangeFlags(table="{}", mapping="{keep_measure_name: false}"), False),
    ],
)
def test_a_jobs_own_range_means_its_windows_and_any_other_the_range(
    loaded: Loaded, flags: RangeFlags, whole: bool
) -> None:
    meant = replace(flags, table=loaded.name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(loaded.folder)
        patch.setenv("DAGSTER_HOME", str(loaded.folder / "dagster"))
        work = begin(configuration(loaded))
    job = job_meant(work, None, meant)
    assert job is not None
    assert is_whole_job(job, meant) is whole
    request = request_of(work, job, meant, parts=1)
    assert (request.database, request.bucket) == (loaded.name, loaded.name)
    assert request.window.end_ns == exclusive_end_ns(meant.end or "2023-01-31T23:59:59Z")


def test_the_audit_by_the_command_line_catches_13_of_13(embedded_stack: EmbeddedStack) -> None:
    answer = embedded_stack.run("audit-validation")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "13 of 13 caught by the check named in advance" in answer.stdout
    assert "no alarm" in answer.stdout
