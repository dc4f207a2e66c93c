"""Commands in a shell of their own: what they print, where, and how they end."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from ts_migration_tests.embedded_stack import EmbeddedStack, configuration, run_command

FIVE_MISTAKES = """\
migration_jobs:
  - job_name: "Generation"
    source_database: "energy data"
    source_tabel: "generation"
    target_bucket: "generation"
    start_time: "yesterday"
    end_time: "2024-12-31T23:59:59Z"
    batch_size: 0
"""


def in_folder(folder: Path, *arguments: str, variables: dict[str, str] | None = None):
    return run_command("-m", "ts_migration.cli.main", *arguments, cwd=folder, variables=variables)


def assert_one_message(answer: subprocess.CompletedProcess[str], *texts: str, code: int = 2) -> None:
    """Not successful, one `error:` on stderr, no traceback anywhere."""
    assert answer.returncode == code, answer.stderr
    assert "Traceback" not in answer.stdout + answer.stderr
    assert len(re.findall(r"^error: ", answer.stderr, re.MULTILINE)) == 1, answer.stderr
    for text in texts:
        assert text in answer.stderr


def test_a_missing_configuration_is_one_message(tmp_path):
    for command in ("plan", "execute", "status", "validate"):
        assert_one_message(in_folder(tmp_path, command), "no configuration file", "scripts/migration_config.yaml")


def test_five_mistakes_are_one_message_of_five_lines(tmp_path):
    (tmp_path / "migration_config.yaml").write_text(FIVE_MISTAKES)
    answer = in_folder(tmp_path, "execute")
    assert_one_message(answer, "5 mistakes in the configuration", "did you mean source_table?")
    assert len(re.findall(r"^  - ", answer.stderr, re.MULTILINE)) == 5
    assert not (tmp_path / ".env").exists(), "nothing is remembered of a configuration that does not load"


def test_without_a_stack_and_without_variables_the_message_says_what_to_start(tmp_path):
    (tmp_path / "migration_config.yaml").write_text(configuration("load_data"))
    assert_one_message(in_folder(tmp_path, "execute", "--dry-run"), "no AWS Region is set", "ts-migration local up")
    assert_one_message(in_folder(tmp_path, "local", "env"), "ts-migration local up")
    assert in_folder(tmp_path, "local", "status").returncode == 1


def test_a_bug_is_one_line_and_a_file(tmp_path):
    script = (
        "from ts_migration.cli.guard import guarded\n"
        "def program():\n    raise ZeroDivisionError('secret plans\\nsecond line')\n"
        "guarded(program)"
    )
    answer = run_command("-c", script, cwd=tmp_path)
    assert_one_message(answer, "ZeroDivisionError: secret plans. This is a bug; details: .ts_migration/errors/", code=1)
    (log,) = (tmp_path / ".ts_migration" / "errors").iterdir()
    assert "Traceback" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_an_unknown_option_shows_how_to_ask_for_help(tmp_path):
    answer = in_folder(tmp_path, "execute", "--paralel-jobs", "2")
    assert answer.returncode == 2
    assert "No such option" in answer.stderr
    assert "--parallel-jobs" in answer.stderr


@pytest.fixture
def stack(embedded_stack: EmbeddedStack) -> EmbeddedStack:
    embedded_stack.write_config(configuration("generation_data", "load_data", "exchange_data"))
    return embedded_stack


@pytest.mark.stack
def test_a_dry_run_says_not_configured_where_a_variable_is_not_set(stack):
    answer = stack.run("execute", "--dry-run", "--only", "load_data job", variables={"NOTIFICATION_TOPIC_ARN": ""})
    assert "SNS topic: not configured" in answer.stdout
    assert answer.stdout.splitlines()[-1] == "All infrastructure components accessible"
    assert answer.returncode == 0


@pytest.mark.stack
@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"INFLUXDB_TOKEN": "wrong-token"}, "the token is not accepted. Next: check INFLUXDB_TOKEN"),
        ({"INFLUXDB_URL": "http://127.0.0.1:1"}, "cannot be reached"),
        ({"S3_EXPORT_BUCKET": "no-such-bucket"}, "NoSuchBucket"),
        ({"AWS_ACCESS_KEY_ID": "SOMEBODYELSE"}, "InvalidAccessKeyId"),
        (
            {"AWS_ENDPOINT_URL_TIMESTREAM_QUERY": "http://127.0.0.1:1"},
            "endpoint cannot be reached. Next: check the network",
        ),
    ],
)
def test_an_execution_that_cannot_work_is_one_message_and_begins_nothing(stack, variables, text):
    before = {path for path in (stack.folder / ".ts_migration" / "local" / "s3").rglob("*") if path.is_file()}
    answer = stack.run("execute", "--only", "load_data job", variables=variables)
    assert_one_message(answer, text)
    assert not any(value in answer.stderr for name, value in variables.items() if "TOKEN" in name)
    after = {path for path in (stack.folder / ".ts_migration" / "local" / "s3").rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.stack
def test_a_missing_table_and_a_range_without_rows_are_one_message(stack):
    stack.write_config(configuration("load_dat"), "missing.yaml")
    assert_one_message(stack.run("execute", "--config", "missing.yaml"), "there is no table 'load_dat'", "load_data")
    stack.write_config(configuration("load_data", start="2013-01-01", end="2014-01-01"), "empty.yaml")
    assert_one_message(stack.run("execute", "--config", "empty.yaml"), "has no row from 2013-01-01", "its rows lie")


@pytest.mark.stack
def test_several_failures_are_one_message_with_a_line_each(stack):
    variables = {"INFLUXDB_TOKEN": "wrong-token", "S3_EXPORT_BUCKET": "no-such-bucket"}
    answer = stack.run("execute", "--dry-run", "--only", "load_data job", variables=variables)
    assert_one_message(answer, "nothing was begun:\n  - S3 bucket", "\n  - InfluxDB http")
    assert "Prerequisites validation failed: 2 of " in answer.stdout


@pytest.mark.stack
def test_a_shell_that_differs_from_the_file_is_told_so_by_name_only(stack):
    answer = stack.run("execute", "--dry-run", "--only", "load_data job", variables={"INFLUXDB_TOKEN": "wrong-token"})
    assert "warning: the shell and .env differ" in answer.stderr
    assert "INFLUXDB_TOKEN" in answer.stderr
    assert "wrong-token" not in answer.stdout + answer.stderr


@pytest.mark.stack
def test_a_window_or_a_job_that_is_not_there_is_one_message(stack):
    assert_one_message(stack.run("execute", "--window", "2022-01-01"), "no window '2022-01-01'", "24 windows")
    assert_one_message(stack.run("execute", "--window", "2023-03-01..2023-02-01"), "ends before it begins")
    assert_one_message(stack.run("execute", "--only", "x"), "no job 'x'", "'load_data job'")


@pytest.mark.stack
def test_a_plan_shows_every_job_and_ends_well(stack):
    answer = stack.run("plan")
    assert answer.returncode == 0, answer.stderr
    assert "until 2025-01-01T00:00:00Z (excluded)" in answer.stdout
    assert "generation_mw: float" in answer.stdout
    assert re.search(r"generation_data job .* 24 +2,000 ", answer.stdout)


@pytest.mark.stack
def test_a_plan_with_a_problem_ends_with_a_code_that_says_so(stack):
    stack.write_config(configuration("load_dat"), "missing.yaml")
    assert_one_message(stack.run("plan", "--config", "missing.yaml"), "no table 'load_dat'", code=1)


@pytest.mark.stack
def test_variables_can_be_had_for_shells_files_and_programs(stack):
    expected = stack.variables
    as_json = json.loads(stack.run("local", "env", "--format", "json").stdout)
    assert {name: as_json[name] for name in expected if name in as_json} == {
        name: value for name, value in expected.items() if name in as_json
    }
    assert as_json["DAGSTER_HOME"] == str(stack.folder.resolve() / ".ts_migration" / "dagster")
    shell = stack.run("local", "env").stdout
    printed = subprocess.run(
        ["sh", "-c", f'{shell}\nprintf %s "$INFLUXDB_TOKEN"'], capture_output=True, text=True, check=True
    )
    assert printed.stdout == expected["INFLUXDB_TOKEN"]
    dotenv = stack.run("local", "env", "--format", "dotenv").stdout
    assert f"INFLUXDB_TOKEN='{expected['INFLUXDB_TOKEN']}'" in dotenv


@pytest.mark.stack
def test_the_state_of_the_stack_is_shown(stack):
    answer = stack.run("local", "status")
    assert answer.returncode == 0
    assert len(re.findall("running", answer.stdout)) == 4


@pytest.mark.stack
def test_seeding_needs_one_source(stack):
    answer = stack.run("local", "seed", "--csv", "a.csv", "--parquet", "b.parquet")
    assert_one_message(answer, "give one of --csv, --parquet and --ons")


@pytest.mark.stack
def test_validating_what_is_no_job_without_its_range_is_refused_with_the_jobs_that_are(stack):
    answer = stack.run("validate", "--database", "other", "--table", "x", "--bucket", "y")
    assert_one_message(answer, "one table was named, but not --start-time", "ons_energy_data.load_data -> load_data")


@pytest.mark.stack
def test_secrets_are_printed_by_no_command_but_env(stack):
    secrets = [stack.variables["INFLUXDB_TOKEN"], stack.variables["AWS_SECRET_ACCESS_KEY"]]
    for command in (
        ["execute", "--dry-run", "--only", "load_data job"],
        ["plan"],
        ["local", "status"],
        ["local", "up"],
    ):
        answer = stack.run(*command)
        assert not any(secret in answer.stdout + answer.stderr for secret in secrets), command


INTERRUPTED = """
from ts_migration.cli import {module}
from ts_migration.cli.guard import guarded
from ts_migration.cli.main import app
def interrupted(*_, **__): raise KeyboardInterrupt
{module}.{function} = interrupted
guarded(lambda: app(["{module}"]))
"""


def test_an_interrupt_at_any_moment_of_a_command_is_told(tmp_path):
    answer = run_command("-c", INTERRUPTED.format(module="plan", function="begin"), cwd=tmp_path)

    assert_one_message(answer, "cancelled", "Next: the same command", code=130)


def test_who_stops_watching_is_not_told_that_anything_was_cancelled(tmp_path):
    answer = run_command("-c", INTERRUPTED.format(module="monitor", function="watch"), cwd=tmp_path)

    assert answer.returncode == 130
    assert answer.stderr == "no longer watched; the jobs go on\n"
