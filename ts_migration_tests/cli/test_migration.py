"""The main job by the command line alone: execute, status, validate, report, each in a shell without any export."""

import gzip
import html
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import urllib3

from ts_migration.objects import BULK_PREFIX, ExportBucket
from ts_migration_tests.embedded_stack import EmbeddedStack, configuration

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def migrated(embedded_stack: EmbeddedStack) -> EmbeddedStack:
    """A stack whose load_data of January and February 2023 was migrated by `execute`."""
    embedded_stack.write_config(configuration("load_data", end="2023-02-28T23:59:59Z"), "two_windows.yaml")
    answer = embedded_stack.run("execute", "--config", "two_windows.yaml", "--parallel-jobs", "1")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "load-data-job: 2 windows migrated, 0 failed, 0 done before" in answer.stdout
    assert "10 of 10" in answer.stdout
    assert answer.stderr.count("proven") == 2
    return embedded_stack


def test_the_exports_become_a_table_of_timestream_again_until_they_are_cleaned_up(migrated):
    command = ("restore-export", "load_data job", "--into", "restored.load_data")
    looked = migrated.run(*command, "--dry-run")
    assert looked.returncode == 0, looked.stderr
    assert "made     the table restored.load_data" in looked.stdout
    unasked = migrated.run(*command)
    assert (unasked.returncode, "the same with --yes" in unasked.stderr) == (2, True)
    restored = migrated.run(*command, "--yes")
    assert restored.returncode == 0, restored.stderr
    assert "rows of 2 windows are in restored.load_data, proven by count" in restored.stdout
    again = migrated.run(*command, "--yes")
    assert (again.returncode, "written and proven" in again.stderr) == (0, False)
    over = migrated.run("restore-export", "load_data job", "--into", "ons_energy_data.load_data", "--yes")
    assert (over.returncode, "holds rows" in over.stderr) == (2, True)


def test_a_second_execution_has_nothing_to_do_even_after_the_guides_cleanup(migrated):
    # aws s3 rm s3://your-export-bucket/timestream-export/ --recursive
    deleted = ExportBucket(migrated.s3(), migrated.variables["S3_EXPORT_BUCKET"]).delete_prefix(BULK_PREFIX)
    assert deleted > 0
    answer = migrated.run("execute")
    assert answer.returncode == 0, answer.stderr
    assert "Nothing was left to do" in answer.stdout
    assert "2 done before" in answer.stdout


def test_a_new_shell_sees_what_the_first_one_ran(migrated):
    answer = migrated.run("status")
    assert answer.returncode == 0, answer.stderr
    assert re.search(r"load-data-job .* migrated +2 +2 +2 +0 +0", answer.stdout)


def test_the_guides_logs_and_results_are_written(migrated):
    assert "finished after" in (migrated.folder / "migration_execution.log").read_text()
    results = [json.loads(path.read_text()) for path in migrated.folder.glob("migration_results_*.json")]
    executed = [content for content in results if content["kind"] == "execution" and content["job_id"]]
    assert ("proven", 2) in [(each["status"], each["tables"][0]["statuses"]["proven"]) for each in executed]
    assert list(migrated.folder.glob("migration_report_*.html"))


def test_a_report_can_be_had_at_any_time(migrated):
    answer = migrated.run("report")
    assert answer.returncode == 0, answer.stderr
    assert "2 of 2 proven" in answer.stdout


WRONG_PAIR = """
queries:
  - name: peak
    timestream: |
      SELECT max(measure_value::double) AS "peak" FROM {{database}}.{{table}}
      WHERE time >= {{anchor - 7d}} AND time < {{anchor}}
    influxql: SELECT min(load_mw) AS peak FROM {{measurement}} WHERE time >= {{anchor - 7d}} AND time < {{anchor}}
query_settings:
  runs: 1
"""


def test_a_query_with_two_answers_is_shown_with_both_and_keeps_the_table_from_being_proven_until_it_is_mended(migrated):
    jobs = configuration("load_data", end="2023-02-28T23:59:59Z")
    migrated.write_config(jobs + WRONG_PAIR, "queries.yaml")
    asked = migrated.run("queries", "--config", "queries.yaml", "--show")
    assert asked.returncode == 1, asked.stdout + asked.stderr
    assert "4 rows, the same in both" in asked.stdout
    assert 'SELECT min(load_mw) AS peak FROM "load_data" WHERE time >= 167' in asked.stdout
    assert re.search(r"peak: row 1: peak is \d[\d.]+ in Timestream and \d[\d.]+ in InfluxDB", asked.stderr)

    failed = migrated.run("execute", "--config", "queries.yaml")
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert "query_equivalence (peak: 1 row in Timestream, 1 in InfluxDB: 1 different)" in failed.stderr
    assert re.search(r"load_data +failed +2 of 2 proven", failed.stdout)
    status = migrated.run("status")
    assert status.returncode == 1
    assert "migrated, not proven" in status.stdout
    assert "load-data-job: checks of the whole table that failed: query_equivalence" in status.stdout

    migrated.write_config(jobs + WRONG_PAIR.replace("min(", "max("), "queries.yaml")
    mended = migrated.run("execute", "--config", "queries.yaml")
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert re.search(r"load_data +proven +2 of 2 proven", mended.stdout)


def test_validation_reads_both_systems_again_and_finds_a_value_that_was_changed(migrated):
    _overwrite_one_value(migrated)
    answer = migrated.run("validate")
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert "error: job load-data-job: window 2023-02-01: checks failed: " in answer.stderr
    assert "checksum" in answer.stderr
    assert "2023-01-01:" not in answer.stderr.partition("error:")[2]
    assert migrated.run("report").returncode == 1


def _overwrite_one_value(migrated: EmbeddedStack) -> None:
    """Take one point of February from the bucket and write it again, a little larger."""
    variables = migrated.variables
    headers = {"Authorization": f"Token {variables['INFLUXDB_TOKEN']}"}
    query = "SELECT load_mw FROM load_data WHERE time >= '2023-02-10' AND subsystem = 'SUL' LIMIT 1"
    answer = urllib3.request(
        "GET",
        f"{variables['INFLUXDB_URL']}/query",
        fields={"db": "load_data", "q": query, "epoch": "ns"},
        headers=headers,
    )
    moment, value = answer.json()["results"][0]["series"][0]["values"][0]
    written = urllib3.request(
        "POST",
        f"{variables['INFLUXDB_URL']}/api/v2/write?org={variables['INFLUXDB_ORG']}&bucket=load_data&precision=ns",
        body=f"load_data,subsystem=SUL load_mw={value + 1e-6!r} {moment}".encode(),
        headers=headers,
    )
    assert written.status == 204, written.data


def test_no_secret_is_in_any_log_report_manifest_or_record_of_dagster(migrated):
    variables = migrated.variables
    secrets = [variables[name] for name in ("INFLUXDB_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")]
    assert secrets_in({"an environment": f"INFLUXDB_TOKEN={secrets[0]}".encode()}, secrets) == ["an environment"]

    bucket = ExportBucket(migrated.s3(), variables["S3_EXPORT_BUCKET"])
    objects = {found.key: bucket.get(found.key) for found in bucket.list("")}
    written = {
        str(path): path.read_bytes() for path in migrated.folder.iterdir() if path.is_file() and path.name != ".env"
    }
    home = Path(variables["DAGSTER_HOME"])
    kept = {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file()}
    records = {f"{path} as rows": rows_of(path) for path in home.rglob("*.db")}

    for prefix in ("manifests/", "reports/"):
        assert any(key.startswith(prefix) for key in objects), prefix
    assert {"migration_execution.log", "migration_validation.log"} <= {Path(name).name for name in written}
    assert any(b"checksum" in rows for rows in records.values()), "the verdicts are among Dagster's records"
    assert secrets_in(objects | written | kept | records, secrets) == []


def secrets_in(texts: dict[str, bytes], secrets: list[str]) -> list[str]:
    """Names of the texts that hold one of the secrets; gzipped ones are read as what they hold."""
    plain = {
        name: gzip.decompress(text) if text.startswith(b"\x1f\x8b") else html.unescape(text.decode(errors="replace")).encode()
        for name, text in texts.items()
    }  # fmt: skip
    return [name for name, text in plain.items() if any(secret.encode() in text for secret in secrets)]


def rows_of(path: Path) -> bytes:
    """Every row of a SQLite database, whole: in its file a long text is cut into pages."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return "\n".join(database.iterdump()).encode(errors="replace")
