"""What results say: counts, rates, reasons, settings without secrets, the next command; and their documented schema."""

import json
import re
from dataclasses import replace

import jsonschema
import pytest
from pydantic import SecretStr

from ts_migration.config import Environment, parse_config
from ts_migration.manifests import AcceptanceManifest, VerdictRecord
from ts_migration.reporting.html import report_html
from ts_migration.reporting.json_schema import results_schema
from ts_migration.reporting.page import ShownCheck
from ts_migration.reporting.results import MigrationResults, results_of
from ts_migration.reporting.surroundings import (
    common_settings,
    job_settings,
    told_variables,
    versions,
    without_credentials,
)
from ts_migration.reporting.words import summary
from ts_migration.stages.currency import window_range
from ts_migration.stages.proof import TableProof, WindowManifests, window_proof
from ts_migration.validation.table import TableCheck
from ts_migration_tests.embedded_stack import CHECKOUT, configuration
from ts_migration_tests.reporting.example import example
from ts_migration_tests.reporting.proofs import proof, results
from ts_migration_tests.stages.manifests import STANDING, verdict, window_manifests

SCHEMA = CHECKOUT / "docs" / "results.schema.json"
FIELDS_OF_VERSION_1 = {
    "kind", "schema_version", "generated_at", "status", "job_id", "configuration", "tables",
    "tables.job", "tables.source", "tables.bucket", "tables.measurement", "tables.status", "tables.statuses", "tables.rows",
    "tables.points", "tables.values", "tables.quarantined", "tables.refused", "tables.checks_passed", "tables.checks", "tables.seconds",
    "tables.windows", "tables.table_checks", "tables.windows.key", "tables.windows.start", "tables.windows.end", "tables.windows.status",
    "tables.windows.reason", "tables.windows.rows", "tables.windows.points", "tables.windows.values", "tables.windows.series",
    "tables.windows.quarantined", "tables.windows.refused", "tables.windows.bytes", "tables.windows.seconds", "tables.windows.checks",
}  # fmt: skip


def test_the_json_can_be_read_back_and_names_its_kind() -> None:
    found = results()
    again = MigrationResults.model_validate_json(found.to_bytes())
    assert again == found
    raw = json.loads(found.to_bytes())
    assert (raw["kind"], raw["schema_version"], raw["status"]) == ("validation", 1, "failed")
    assert re.fullmatch(r"migration_results_\d{8}T\d{6}Z\.json", found.file_name)
    table = raw["tables"][0]
    assert table["statuses"] == {"proven": 1, "passed": 1, "failed": 1, "stale": 0, "missing": 1}
    assert (table["rows"], table["points"], table["checks"], table["checks_passed"]) == (30, 30, 15, 14)


def test_the_committed_schema_is_the_models() -> None:
    message = "python -m ts_migration.reporting.json_schema > docs/results.schema.json"
    assert SCHEMA.read_text(encoding="utf-8") == results_schema(), message


@pytest.mark.parametrize("found", [results(), example(), example(failing=False)], ids=["small", "failing", "proven"])
def test_a_file_is_as_the_committed_schema_says(found: MigrationResults) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(found.to_bytes()), schema)


def test_the_schema_refuses_a_file_without_a_field_and_allows_one_of_a_later_version() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    raw = json.loads(results().to_bytes())
    jsonschema.validate({**raw, "later": 1}, schema)
    del raw["tables"][0]["windows"][0]["rows"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(raw, schema)


def test_no_field_of_schema_version_1_was_taken_away() -> None:
    raw = json.loads(example().to_bytes())
    there = set(raw) | {f"tables.{key}" for key in raw["tables"][0]}
    there |= {f"tables.windows.{key}" for key in raw["tables"][0]["windows"][0]}
    assert there >= FIELDS_OF_VERSION_1


def test_every_field_is_explained_in_the_documents() -> None:
    text = (CHECKOUT / "docs" / "reports.md").read_text(encoding="utf-8")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    sections = {"MigrationResults": schema, **schema["$defs"]}
    names = {name for section in sections.values() for name in section.get("properties", {})}
    assert not [name for name in sorted(names) if f"`{name}`" not in text]


def test_rates_are_of_each_stages_own_seconds() -> None:
    window = proof().windows[0]
    table = results_of([TableProof("j", "d.t", "b", "t", (window, window))], "validation").tables[0]
    stages = {stage.stage: stage for stage in table.stages}
    assert list(stages) == ["export", "line_protocol", "load", "verdicts"]
    # 10 rows and 20 values in 1.5 s, twice.
    assert (stages["export"].seconds, stages["export"].count, stages["export"].per_second) == (3.0, 20, 6.7)
    assert (stages["verdicts"].count, stages["verdicts"].unit, stages["verdicts"].per_second) == (40, "values", 13.3)
    assert (stages["load"].bytes, stages["load"].bytes_per_second) == (100, 33.3)
    assert stages["verdicts"].bytes_per_second is None


def test_a_load_that_went_on_from_another_has_no_rate() -> None:
    window = proof().windows[0]
    manifests = window_manifests(window.window)
    assert manifests.loaded is not None
    resumed = replace(manifests, loaded=manifests.loaded.model_copy(update={"resumed_members": 1}))
    again = window_proof(window.window, resumed, STANDING)
    table = results_of([TableProof("j", "d.t", "b", "t", (again,))], "execution").tables[0]
    load = {stage.stage: stage for stage in table.windows[0].stages}["load"]
    assert (load.seconds, load.count) == (1.5, 10)
    assert (load.per_second, load.bytes_per_second) == (None, None)


def test_kept_out_rows_are_told_by_their_reasons_the_commonest_first() -> None:
    one = replace(
        proof().windows[0], quarantined=3, reasons={"line feed": 1, "NaN": 2}, rewritten={"string_too_long": 4}
    )
    other = replace(proof().windows[1], quarantined=5, reasons={"line feed": 5})
    table = results_of([TableProof("j", "d.t", "b", "t", (one, other))], "validation").tables[0]
    assert list(table.quarantined_by_reason.items()) == [("line feed", 6), ("NaN", 2)]
    assert table.rewritten_by_rule == {"string_too_long": 4}
    assert table.windows[0].quarantined_by_reason == {"line feed": 1, "NaN": 2}


WHOLE = {check.value: verdict(check.value) for check in TableCheck}
"""Every check of a whole table, passed."""


def told(*proofs: TableProof, **checks: VerdictRecord) -> MigrationResults:
    """Results of jobs of a configuration whose tables passed their own checks, but for these of the first one."""
    whole = {proof.job: tuple(WHOLE.values()) for proof in proofs}
    whole[proofs[0].job] = tuple((WHOLE | checks).values())
    return results_of(
        proofs,
        "validation",
        table_checks=whole,
        job_settings={proof.job: {} for proof in proofs},
        configuration="my config.yaml",
    )


def command(*proofs: TableProof, **checks: VerdictRecord) -> str | None:
    step = told(*proofs, **checks).next_step
    assert step is not None
    return step.command


def test_a_table_whose_windows_are_proven_is_failed_where_a_check_of_the_whole_table_failed() -> None:
    good = replace(proof(failed=False), job="good")
    totals = verdict("totals", passed=False, evidence=("field 'f' differs",))
    assert told(good).status == "proven"
    found = told(good, totals=totals)
    assert (found.status, found.tables[0].status) == ("failed", "failed")
    assert "checks of whole tables did not pass: good (totals)." in summary(found).found
    assert command(good, totals=totals) == "ts-migration validate --config 'my config.yaml' --only good"


def test_a_table_that_fails_for_its_queries_alone_leads_to_the_queries() -> None:
    good = replace(proof(failed=False), job="good")
    queries, totals = verdict("query_equivalence", passed=False), verdict("totals", passed=False)
    step = told(good, query_equivalence=queries).next_step
    assert step is not None and step.command == "ts-migration queries --config 'my config.yaml' --only good"
    assert "once that is right: ts-migration validate --config 'my config.yaml' --only good" in step.why
    assert command(good, query_equivalence=queries, totals=totals).startswith("ts-migration validate")


def test_a_warning_of_the_whole_table_that_did_not_pass_leaves_it_passed() -> None:
    good = replace(proof(failed=False), job="good")
    late = verdict("late_arrivals", passed=False, severity="WARN")
    found = told(good, late=late)
    assert (found.status, found.cleared) == ("passed", False)
    assert summary(found).headline == "Passed, not proven"
    assert told(good, late=verdict("cardinality", severity="WARN")).status == "proven"


def test_a_table_that_was_not_checked_as_a_whole_is_not_proven_whatever_its_windows_are() -> None:
    good = replace(proof(failed=False), job="good")
    for made in ((), tuple(WHOLE.values())[:-1]):
        found = results_of(
            [good], "execution", table_checks={"good": made}, job_settings={"good": {}}, configuration="my config.yaml"
        )
        assert (found.status, found.cleared, found.tables[0].status) == ("missing", False, "missing")
        assert found.tables[0].unchecked == tuple(WHOLE)[len(made) :]
        assert "Every window was checked, but whole tables were not, or not since: good." in summary(found).found
        assert found.next_step and found.next_step.command == (
            "ts-migration execute --config 'my config.yaml' --only good"
        )
    # What is begun alone is not due to be judged as a whole.
    assert results_of([proof()], "execution", table_checks={}).tables[0].unchecked == ()


def test_the_next_command_is_of_the_one_table_that_is_open_or_of_all() -> None:
    nothing = window_proof(proof().windows[3].window, WindowManifests(), STANDING)
    untouched = TableProof("new table", "d.n", "b", "n", (nothing,))
    done = replace(proof(failed=False), job="done")
    assert command(done) is None
    assert command(done, untouched) == "ts-migration execute --config 'my config.yaml' --only 'new table'"
    assert command(done, untouched, proof()) == "ts-migration execute --config 'my config.yaml'"
    passed = replace(done, job="odd", windows=(replace(proof().windows[2], quarantined=1),))
    assert command(done, passed) == "ts-migration quarantine list --config 'my config.yaml' --only odd"
    assert [table.next_step.command is None for table in told(done, passed).tables if table.next_step] == [True, False]


def test_windows_that_wait_to_be_accepted_come_before_the_warnings_that_they_cause() -> None:
    passed = replace(proof(failed=False), job="odd", windows=(replace(proof().windows[2], quarantined=1),))
    warnings = {
        name: verdict(name, passed=False, severity="WARN") for name in ("all_windows_proven", "query_equivalence")
    }
    assert command(passed, **warnings) == "ts-migration quarantine list --config 'my config.yaml' --only odd"
    totals = verdict("totals", passed=False)
    assert command(passed, **warnings, totals=totals) == "ts-migration validate --config 'my config.yaml' --only odd"


def test_a_table_of_no_configuration_has_no_next_command() -> None:
    found = results_of([proof()], "validation")
    assert (found.next_step, found.tables[0].next_step) == (None, None)


def test_a_window_that_passed_and_was_accepted_leaves_nothing_to_do() -> None:
    window = proof().windows[2]
    acceptance = AcceptanceManifest(
        database="d", table="t", job="odd", window=window_range(window.window), verdicts="a" * 64, found="a tolerance",
        reason="a test of ours", accepted_by="ana@grid",
    )  # fmt: skip
    odd = replace(proof(), job="odd", windows=(window,))
    accepted = replace(odd, windows=(replace(window, acceptance=acceptance),))
    assert summary(told(odd)).headline == "Passed, not proven"
    assert command(odd) == "ts-migration validate --config 'my config.yaml' --only odd"
    found = told(accepted)
    assert (found.status, found.tables[0].accepted, command(accepted)) == ("passed", 1, None)
    assert summary(found).headline == "Passed and accepted"
    assert "<b>Accepted</b> by ana@grid at" in report_html(found)


def test_settings_are_told_with_their_defaults_and_times_as_people_write_them() -> None:
    config = parse_config(configuration("load_data"))
    keys = job_settings(config.migration_jobs[0])
    assert (keys["start_time"], keys["end_time"]) == ("2023-01-01T00:00:00Z", "2025-01-01T00:00:00Z")
    assert (keys["batch_size"], keys["mapping.single_measure"]) == (10_000, "field_per_measure_name")
    assert common_settings(config)["validation_rules.sample_accuracy_threshold"] == 1.0


def test_no_secret_and_no_credential_of_a_url_is_told() -> None:
    environment = Environment(
        s3_export_bucket="exports",
        influxdb_url="https://me:hunter2@influx.example:8086/base?token=hunter2",
        influxdb_org="o",
        influxdb_token=SecretStr("hunter2"),
    )
    assert told_variables(environment) == {
        "S3_EXPORT_BUCKET": "exports",
        "INFLUXDB_URL": "https://influx.example:8086/base",
        "INFLUXDB_ORG": "o",
    }
    assert without_credentials("a, https://u:p@h/x, b") == "a, https://h/x, b"
    assert without_credentials("0 0 1 * *") == "0 0 1 * *"


def test_versions_of_what_ran_are_told() -> None:
    found = versions("influxdb v2.7.12")
    assert {"python", "ts-migration", "dagster", "polars", "pyarrow"} <= set(found)
    assert found["influxdb server"] == "influxdb v2.7.12"
    assert "influxdb server" not in versions()


def test_a_warning_that_did_not_pass_does_not_read_as_passed() -> None:
    open_check = verdict("query_equivalence", passed=False, severity="WARN")
    assert ShownCheck.of(open_check, 3).verdict == "did not pass"
    assert ShownCheck.of(open_check.model_copy(update={"passed": True}), 3).verdict == "passed with a remark"
