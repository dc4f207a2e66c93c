"""The orchestrator Lambda against Dagster's GraphQL schema: what it asks is valid, what it answers is what happened."""

import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from ts_migration_tests.infra.dagster_api import DagsterApi, running_dagster_api
from ts_migration_tests.infra.orchestrator_module import load_handler

MIGRATION = {"tables": [{"table": "grid/load", "backfill": "b1"}]}
BOTH = {"tables": [*MIGRATION["tables"], {"table": "grid/exchange", "backfill": "b2"}]}


@pytest.fixture
def api() -> Iterator[DagsterApi]:
    with running_dagster_api() as running:
        yield running


@pytest.fixture
def orchestrator(api: DagsterApi, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("DAGSTER_URL", api.url)
    monkeypatch.delenv("DAGSTER_HEADERS_SECRET_ARN", raising=False)
    return load_handler()


def workspace(*tables: str) -> dict[str, Any]:
    """Answer to which assets there are."""
    nodes = [
        {"assetKey": {"path": [*table.split("/"), asset]}, "isPartitioned": asset != "migrated"}
        for table in tables
        for asset in ("export_files", "line_protocol_files", "influxdb_bucket", "migrated")
    ]
    return {"assetNodes": [*nodes, {"assetKey": {"path": ["migration_report"]}, "isPartitioned": False}]}


def begun(backfill: str) -> dict[str, Any]:
    return {"launchPartitionBackfill": {"__typename": "LaunchBackfillSuccess", "backfillId": backfill}}


def seen(
    backfill: str = "COMPLETED_SUCCESS",
    *,
    ended: float | None = None,
    loaded_ms: float | None = 1_000.0,
    migrated_ms: float | None = 2_000.0,
    checks: dict[str, str] | None = None,
    severity: str = "ERROR",
    error: str | None = None,
) -> dict[str, Any]:
    """Answer to how a table does."""
    given = {"all_windows_proven": "SUCCEEDED", "totals": "SUCCEEDED"} if checks is None else checks
    verdicts = [
        {
            "name": name,
            "executionForLatestMaterialization": {"status": status, "evaluation": {"severity": severity}} if status else None,
        }
        for name, status in given.items()
    ]  # fmt: skip
    return {
        "partitionBackfillOrError": {
            "__typename": "PartitionBackfill",
            "status": backfill,
            "endTimestamp": time.time() if ended is None else ended,
            "numPartitions": 3,
            "error": {"message": error} if error else None,
        },
        "bucket": {
            "partitionStats": {"numPartitions": 3, "numMaterialized": 2, "numFailed": 1},
            "assetMaterializations": [{"timestamp": str(loaded_ms)}] if loaded_ms else [],
        },
        "migrated": {
            "assetMaterializations": [{"timestamp": str(migrated_ms)}] if migrated_ms else [],
            "assetChecksOrError": {"checks": verdicts},
        },
    }


def state(orchestrator: ModuleType, api: DagsterApi, *answers: dict[str, Any], migration: Any = MIGRATION) -> Any:
    api.script("Status", *answers)
    return orchestrator.handler({"action": "status", "migration": migration})


def test_a_start_begins_a_backfill_of_all_windows_of_each_table(orchestrator: ModuleType, api: DagsterApi) -> None:
    api.script("Tables", workspace("grid/load", "grid/exchange"))
    api.script("Start", begun("b1"), begun("b2"))

    answer = orchestrator.handler({"action": "start", "request": {}, "execution": "e7"})

    assert answer == {
        "tables": [{"table": "grid/exchange", "backfill": "b1"}, {"table": "grid/load", "backfill": "b2"}]
    }
    _, first, _ = api.asked
    assert first[1]["params"] == {
        "assetSelection": [
            {"path": ["grid", "exchange", asset]}
            for asset in ("export_files", "line_protocol_files", "influxdb_bucket")
        ],
        "allPartitions": True,
        "title": "Migrate grid/exchange",
        "tags": [
            {"key": "ts_migration/started_by", "value": "e7"},
            {"key": "ts_migration/table", "value": "grid.exchange"},
        ],
    }


@pytest.mark.parametrize("event", [{"tables": ["grid/load"]}, {"request": {"tables": ["grid/load"]}}])
def test_a_start_takes_the_tables_of_the_event_or_of_the_state_machines_input(
    orchestrator: ModuleType, api: DagsterApi, event: dict[str, Any]
) -> None:
    api.script("Tables", workspace("grid/load", "grid/exchange"))
    api.script("Start", begun("b1"))

    assert orchestrator.handler({"action": "start", **event}) == MIGRATION


def test_a_start_of_a_table_that_dagster_does_not_know_begins_nothing(
    orchestrator: ModuleType, api: DagsterApi
) -> None:
    api.script("Tables", workspace("grid/load"))

    with pytest.raises(orchestrator.OrchestratorError, match="no table grid/lod; it knows grid/load"):
        orchestrator.handler({"action": "start", "tables": ["grid/load", "grid/lod"]})
    assert [name for name, _ in api.asked] == ["Tables"]


def test_a_start_that_fails_half_way_names_what_it_has_begun(orchestrator: ModuleType, api: DagsterApi) -> None:
    api.script("Tables", workspace("grid/exchange", "grid/load"))
    refused = {"launchPartitionBackfill": {"__typename": "UnauthorizedError", "message": "read-only"}}
    api.script("Start", begun("b1"), refused)

    with pytest.raises(orchestrator.OrchestratorError, match=r"grid/load: .*read-only \(begun before it: b1\)"):
        orchestrator.handler({"action": "start"})


def test_a_migration_has_succeeded_when_its_table_is_rolled_up_after_its_last_window(
    orchestrator: ModuleType, api: DagsterApi
) -> None:
    answer = state(orchestrator, api, seen())

    assert answer["state"] == "SUCCEEDED"
    assert answer["tables"][0] | {"reason": ""} == {
        "table": "grid/load", "backfill": "b1", "state": "SUCCEEDED", "reason": "", "windows": 3, "loaded": 2,
        "failed": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("told", "expected", "reason"),
    [
        ({"backfill": "REQUESTED"}, "RUNNING", "the backfill is requested"),
        ({"backfill": "CANCELING"}, "RUNNING", "the backfill is canceling"),
        ({"backfill": "CANCELED"}, "CANCELLED", "cancelled"),
        ({"backfill": "COMPLETED_FAILED"}, "FAILED", "runs of windows failed"),
        ({"backfill": "FAILED", "error": "no such partition\nat line 3"}, "FAILED", "no such partition"),
        ({"migrated_ms": None}, "RUNNING", "`migrated` is not made yet"),
        ({"migrated_ms": 500.0}, "RUNNING", "`migrated` is not made yet"),
        ({"migrated_ms": 500.0, "ended": 1.0}, "FAILED", "was not made within"),
        ({"checks": {}}, "RUNNING", "`migrated` is not made yet"),
        ({"checks": {"totals": ""}}, "RUNNING", "`migrated` is not made yet"),
        ({"checks": {"totals": "IN_PROGRESS"}}, "RUNNING", "`migrated` is not made yet"),
        ({"checks": {"totals": "FAILED", "cardinality": "SUCCEEDED"}}, "FAILED", "whole table failed: totals"),
        ({"checks": {"totals": "EXECUTION_FAILED"}, "severity": "WARN"}, "FAILED", "whole table failed: totals"),
        ({"checks": {"totals": "FAILED"}, "severity": "WARN"}, "SUCCEEDED", "every check"),
    ],
    ids=[
        "requested", "being_cancelled", "cancelled", "failed_windows", "failed_backfill", "no_roll_up", "old_roll_up",
        "no_roll_up_for_long", "no_checks", "checks_not_run", "checks_running", "failed_check", "broken_check", "warning",
    ],
)  # fmt: skip
def test_a_state_is_never_better_than_what_dagster_tells(
    orchestrator: ModuleType, api: DagsterApi, told: dict[str, Any], expected: str, reason: str
) -> None:
    # Told here, not when the tests are collected: `seen` says that the backfill ended just now.
    (table,) = state(orchestrator, api, seen(**told))["tables"]
    assert table["state"] == expected
    assert reason in table["reason"]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("COMPLETED_SUCCESS", "REQUESTED", "RUNNING"),
        ("COMPLETED_FAILED", "REQUESTED", "RUNNING"),
        ("COMPLETED_FAILED", "CANCELED", "FAILED"),
        ("COMPLETED_SUCCESS", "CANCELED", "CANCELLED"),
        ("COMPLETED_SUCCESS", "COMPLETED_SUCCESS", "SUCCEEDED"),
    ],
)
def test_a_migration_ends_with_its_last_table_and_as_the_worst_of_them(
    orchestrator: ModuleType, api: DagsterApi, first: str, second: str, expected: str
) -> None:
    assert state(orchestrator, api, seen(first), seen(second), migration=BOTH)["state"] == expected


def test_a_cancel_stops_every_backfill(orchestrator: ModuleType, api: DagsterApi) -> None:
    api.script("Cancel", {"cancelPartitionBackfill": {"__typename": "CancelBackfillSuccess", "backfillId": "b"}})

    assert orchestrator.handler({"action": "cancel", "migration": BOTH}) == {"cancelling": ["b1", "b2"]}
    assert [variables for _, variables in api.asked] == [{"backfill": "b1"}, {"backfill": "b2"}]


def repositories(*jobs: str) -> dict[str, Any]:
    node = {"name": "__repository__", "location": {"name": "ts_migration"}, "jobs": [{"name": job} for job in jobs]}
    return {"repositoriesOrError": {"__typename": "RepositoryConnection", "nodes": [node]}}


def test_a_rollback_is_launched_for_the_tables_that_failed_alone(orchestrator: ModuleType, api: DagsterApi) -> None:
    api.script("Repositories", repositories("roll_back_grid__load", "roll_back_grid__exchange"))
    api.script("Status", seen("COMPLETED_FAILED"), seen())
    api.script("Launch", {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "r1"}}})

    answer = orchestrator.handler({"action": "roll_back", "migration": BOTH})

    assert answer == {"rolled_back": [{"table": "grid/load", "run": "r1"}]}
    assert api.asked[-1][1]["params"]["selector"] == {
        "repositoryName": "__repository__", "repositoryLocationName": "ts_migration", "jobName": "roll_back_grid__load",
    }  # fmt: skip


def test_a_rollback_that_dagster_has_no_job_for_names_the_command(orchestrator: ModuleType, api: DagsterApi) -> None:
    api.script("Repositories", repositories("migrate_grid__load"))
    api.script("Status", seen("COMPLETED_FAILED"))

    with pytest.raises(orchestrator.OrchestratorError, match="Next: ts-migration rollback JOB --approve"):
        orchestrator.handler({"action": "roll_back", "migration": MIGRATION})


def test_a_backfill_that_is_not_there_is_told(orchestrator: ModuleType, api: DagsterApi) -> None:
    answer = {**seen(), "partitionBackfillOrError": {"__typename": "BackfillNotFoundError", "message": "no b1"}}
    with pytest.raises(orchestrator.OrchestratorError, match="BackfillNotFoundError: no b1"):
        state(orchestrator, api, answer)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({}, "action is None; allowed: start, status, cancel, roll_back"),
        ({"action": "stop"}, "action is 'stop'"),
        ({"action": "status"}, "names no migration"),
    ],
)
def test_an_event_that_makes_no_sense_is_answered_with_what_would(
    orchestrator: ModuleType, event: dict[str, Any], message: str
) -> None:
    with pytest.raises(orchestrator.OrchestratorError, match=message):
        orchestrator.handler(event)


def test_a_webserver_that_does_not_answer_is_named(orchestrator: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_URL", "http://127.0.0.1:9")
    with pytest.raises(orchestrator.OrchestratorError, match=r"http://127\.0\.0\.1:9/graphql does not answer"):
        orchestrator.handler({"action": "start"})


def test_headers_of_the_secret_go_with_every_query(
    orchestrator: ModuleType, api: DagsterApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3
    from moto import mock_aws

    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        secret = boto3.client("secretsmanager").create_secret(Name="h", SecretString='{"Authorization": "Bearer x"}')
        monkeypatch.setenv("DAGSTER_HEADERS_SECRET_ARN", secret["ARN"])
        monkeypatch.setattr("urllib.request.getproxies", dict)
        state(orchestrator, api, seen())
    assert api.headers["Authorization"] == "Bearer x"
