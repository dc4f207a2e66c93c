"""When a table is rolled up, and what an operator reads while it is not: by the events of real runs."""

import socket
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster import DagsterEventType

from ts_migration.orchestration.check_state import TableState, table_state
from ts_migration.orchestration.names import WORKER_TAG
from ts_migration.orchestration.revocation import revoke_roll_up
from ts_migration_tests.orchestration.scripted import FEBRUARY, JANUARY, MARCH, Script


@pytest.fixture
def state(script: Script, instance: dg.DagsterInstance) -> "StateOf":
    return StateOf(script, instance)


class StateOf:
    """The state of the table, and what the sensor makes of it."""

    def __init__(self, script: Script, instance: dg.DagsterInstance) -> None:
        self._script = script
        self._instance = instance

    def now(self) -> TableState:
        return table_state(self._instance, self._script.names, self._script.job.grid.keys)

    def ticks(self) -> Iterator[dg.RunRequest | str]:
        """What a tick asks for: run requests, or why it skips."""
        with dg.build_sensor_context(instance=self._instance, definitions=self._script.definitions) as context:
            answer = self._script.definitions.resolve_sensor_def("rollup_sensor")(context)
        if isinstance(answer, dg.SkipReason):
            yield answer.skip_message or ""
        else:
            yield from answer.run_requests


def test_a_table_that_nobody_began_waits_for_all_its_windows(state: StateOf) -> None:
    (reason,) = state.ticks()

    assert reason == "grid.load: 3 of 3 windows are not green: 3 not migrated (2023-01-01, 2023-02-01, 2023-03-01)"


def test_a_tick_ends_the_run_of_a_worker_that_was_killed_so_that_it_fills_no_queue(
    state: StateOf, script: Script, instance: dg.DagsterInstance
) -> None:
    job = script.definitions.resolve_job_def(script.names.job)
    tags = {WORKER_TAG: f"{socket.gethostname()}/never-was", "dagster/partition": JANUARY}
    run = instance.create_run_for_job(job, tags=tags)
    instance.report_dagster_event(dg.DagsterEvent(DagsterEventType.RUN_START.value, job.name), run.run_id)
    assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.STARTED

    list(state.ticks())

    assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE


def test_a_complete_table_is_rolled_up_once_per_newest_check(
    state: StateOf, script: Script, instance: dg.DagsterInstance
) -> None:
    script.run_all(instance)

    assert state.now().complete
    (request,) = state.ticks()
    (again,) = state.ticks()
    assert request.job_name == script.names.roll_up_job
    assert request.run_key == again.run_key, "Dagster runs a key once"
    script.run(instance, MARCH)
    (later,) = state.ticks()
    assert later.run_key != request.run_key


def test_a_table_that_is_rolled_up_is_left_alone_until_a_window_is_checked_again(
    state: StateOf, script: Script, instance: dg.DagsterInstance
) -> None:
    script.run_all(instance)
    instance.report_runless_asset_event(dg.AssetMaterialization(script.names.migrated))

    assert list(state.ticks()) == ["grid.load: rolled up, nothing has changed since"]
    script.run(instance, FEBRUARY)
    assert [type(each) for each in state.ticks()] == [dg.RunRequest]


def test_failed_missing_unchecked_and_outdated_windows_are_told_apart(
    state: StateOf, script: Script, instance: dg.DagsterInstance
) -> None:
    script.failing = {(JANUARY, "coverage")}
    script.run(instance, JANUARY)
    script.run(instance, FEBRUARY)
    instance.report_runless_asset_event(dg.AssetMaterialization(script.names.influxdb_bucket, partition=FEBRUARY))

    found = state.now()

    assert found.green == frozenset()
    assert found.reasons == {
        "failed": (JANUARY,),
        "made again after the checks": (FEBRUARY,),
        "not migrated": (MARCH,),
    }
    assert list(state.ticks()) == [
        "grid.load: 3 of 3 windows are not green: "
        "1 failed (2023-01-01), 1 made again after the checks (2023-02-01), 1 not migrated (2023-03-01)"
    ]


def test_one_check_that_failed_is_enough_and_one_that_passes_later_mends_it(
    state: StateOf, script: Script, instance: dg.DagsterInstance
) -> None:
    script.failing = {(FEBRUARY, "sample")}
    script.run_all(instance)
    assert state.now().reasons == {"failed": (FEBRUARY,)}

    script.failing = set()
    script.run(instance, FEBRUARY)

    assert state.now().complete


@pytest.mark.parametrize("stage", ["export_files", "converted_files"])
def test_an_earlier_stage_made_again_alone_takes_the_green_from_its_window(
    state: StateOf, script: Script, instance: dg.DagsterInstance, stage: str
) -> None:
    script.run_all(instance)
    script.attempt[FEBRUARY] += 1

    script.run(instance, FEBRUARY, getattr(script.names, stage))

    assert state.now().reasons == {"made again after the checks": (FEBRUARY,)}


def test_a_stage_run_again_to_the_same_result_leaves_its_window_green(
    state: StateOf, script: Script, instance: dg.DagsterInstance
) -> None:
    script.run_all(instance)

    script.run(instance, FEBRUARY, script.names.export_files)

    assert state.now().complete


def test_a_window_loaded_again_waits_for_its_checks(
    state: StateOf, script: Script, instance: dg.DagsterInstance
) -> None:
    script.run_all(instance)
    job = script.definitions.resolve_implicit_global_asset_job_def()
    selection = [script.names.influxdb_bucket]

    job.get_subset(asset_selection=set(selection), asset_check_selection=set()).execute_in_process(
        partition_key=FEBRUARY, instance=instance
    )

    assert state.now().reasons == {"not checked": (FEBRUARY,)}


def test_a_window_whose_checks_could_not_run_is_not_green(
    state: StateOf, script: Script, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ts_migration.errors import Permanent
    from ts_migration.orchestration import window_checks

    def unreachable(*_: object, **__: object) -> None:
        raise Permanent("unreachable")

    monkeypatch.setattr(window_checks, "check_window", unreachable)
    script.run(instance, JANUARY)

    assert state.now().reasons == {"not checked": (JANUARY,), "not migrated": (FEBRUARY, MARCH)}


def rolled_up(script: Script, instance: dg.DagsterInstance) -> None:
    """As a roll-up leaves it."""
    check = script.names.all_windows_proven
    instance.report_runless_asset_event(dg.AssetMaterialization(script.names.migrated))
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(asset_key=check.asset_key, check_name=check.name, passed=True)
    )


def evaluations(script: Script, instance: dg.DagsterInstance) -> list[dg.AssetCheckEvaluation]:
    """Of `all_windows_proven`, newest first."""
    found = instance.event_log_storage.get_asset_check_execution_history(script.names.all_windows_proven, limit=10)
    return [each.event.dagster_event.asset_check_evaluation_data for each in found]  # type: ignore[union-attr]


def test_what_was_rolled_up_is_taken_back_once_when_a_window_fails_later(
    state: StateOf, script: Script, instance: dg.DagsterInstance
) -> None:
    script.run_all(instance)
    rolled_up(script, instance)
    script.failing = {(FEBRUARY, "checksum")}
    script.run(instance, FEBRUARY)

    list(state.ticks())
    list(state.ticks())

    newest, before = evaluations(script, instance)
    assert before.passed
    assert (newest.passed, newest.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert newest.metadata["first open windows"].value == FEBRUARY


def test_what_was_taken_back_is_rolled_up_again_even_where_no_check_is_newer(
    state: StateOf, script: Script, instance: dg.DagsterInstance
) -> None:
    script.run_all(instance)
    (first,) = state.ticks()
    rolled_up(script, instance)
    assert state.now().rolled_up

    assert revoke_roll_up(instance, script.names, {FEBRUARY: "its bucket is gone"})

    assert not revoke_roll_up(instance, script.names, {FEBRUARY: "its bucket is gone"}), "it is said once"
    assert not state.now().rolled_up
    (again,) = state.ticks()
    assert again.run_key != first.run_key, "Dagster runs a key once"
    rolled_up(script, instance)
    assert state.now().rolled_up
    assert list(state.ticks()) == ["grid.load: rolled up, nothing has changed since"]


def test_what_was_never_rolled_up_is_not_taken_back(script: Script, instance: dg.DagsterInstance) -> None:
    script.run(instance, JANUARY)

    assert not revoke_roll_up(instance, script.names, {FEBRUARY: "not migrated"})
    assert evaluations(script, instance) == []
