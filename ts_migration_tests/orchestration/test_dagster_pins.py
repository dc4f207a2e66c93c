"""Behaviours of Dagster that the design rests on and that its documentation does not promise: an upgrade speaks here."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from ts_migration.orchestration.partitions import partitions_of
from ts_migration.windows import Grid, to_ns

PARTITIONS = dg.TimeWindowPartitionsDefinition(
    start=datetime(2023, 1, 1), end=datetime(2023, 4, 1), cron_schedule="0 0 1 * *", fmt="%Y-%m-%d", timezone="UTC"
)
KEY = dg.AssetKey(["db", "t", "bucket"])
CHECKS = tuple(dg.AssetCheckKey(KEY, name) for name in ("a", "b", "c"))


def definitions(failing: set[str]) -> dg.Definitions:
    @dg.asset(key=KEY, partitions_def=PARTITIONS)
    def bucket() -> dg.MaterializeResult:
        return dg.MaterializeResult()

    @dg.multi_asset_check(
        name="checks",
        specs=[dg.AssetCheckSpec(key.name, asset=KEY, partitions_def=PARTITIONS, blocking=True) for key in CHECKS],
        can_subset=True,
    )
    def checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        for key in CHECKS:
            passed = not (key.name in failing and context.partition_key == "2023-02-01")
            yield dg.AssetCheckResult(asset_key=KEY, check_name=key.name, passed=passed)

    return dg.Definitions(
        assets=[bucket],
        asset_checks=[checks],
        jobs=[
            dg.define_asset_job("windows", selection=dg.AssetSelection.assets(KEY), partitions_def=PARTITIONS),
            dg.define_asset_job("checks_only", selection=dg.AssetSelection.checks(*CHECKS)),
        ],
        executor=dg.in_process_executor,
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def run_window(instance: dg.DagsterInstance, key: str, failing: set[str] = frozenset()) -> dg.ExecuteInProcessResult:
    job = definitions(failing).resolve_job_def("windows")
    return job.execute_in_process(partition_key=key, instance=instance, raise_on_error=False)


def states(instance: dg.DagsterInstance) -> dict[tuple[str, str], tuple[AssetCheckExecutionRecordStatus, bool]]:
    infos = instance.event_log_storage.get_asset_check_partition_info(list(CHECKS))
    return {
        (info.check_key.name, info.partition_key): (info.latest_execution_status, info.is_current) for info in infos
    }


def test_a_failing_check_fails_the_run_and_the_other_verdicts_are_stored_all_the_same(
    instance: dg.DagsterInstance,
) -> None:
    result = run_window(instance, "2023-02-01", {"a"})

    assert not result.success
    stored = {evaluation.check_name: evaluation.passed for evaluation in result.get_asset_check_evaluations()}
    assert stored == {"a": False, "b": True, "c": True}


def test_a_verdict_is_stored_with_its_partition(instance: dg.DagsterInstance) -> None:
    run_window(instance, "2023-02-01", {"a"})
    run_window(instance, "2023-03-01", {"a"})

    succeeded, failed = AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED
    assert states(instance)["a", "2023-02-01"] == (failed, True)
    assert states(instance)["a", "2023-03-01"] == (succeeded, True)


def test_a_new_materialization_makes_the_old_verdicts_of_its_partition_stale(instance: dg.DagsterInstance) -> None:
    run_window(instance, "2023-02-01")
    instance.report_runless_asset_event(dg.AssetMaterialization(KEY, partition="2023-02-01"))

    assert {current for _, current in states(instance).values()} == {False}


def test_a_checks_only_run_takes_its_partition_by_tag(instance: dg.DagsterInstance) -> None:
    run_window(instance, "2023-02-01", {"a"})
    job = definitions(set()).resolve_job_def("checks_only")
    result = job.execute_in_process(instance=instance, tags={"dagster/partition": "2023-02-01"})

    assert {evaluation.partition for evaluation in result.get_asset_check_evaluations()} == {"2023-02-01"}
    assert states(instance)["a", "2023-02-01"] == (AssetCheckExecutionRecordStatus.SUCCEEDED, True)


def test_time_partitions_are_whole_windows_only() -> None:
    ragged = dg.TimeWindowPartitionsDefinition(
        start=datetime(2023, 1, 15),
        end=datetime(2023, 3, 10),
        cron_schedule="0 0 1 * *",
        fmt="%Y-%m-%d",
        timezone="UTC",
    )

    assert ragged.get_partition_keys() == ["2023-02-01"]


@pytest.mark.parametrize("cron", ["0 * * * *", "0 0 * * *", "0 0 * * 1", "0 0 1 * *", "0 */6 * * *", "30 3 * * *"])
def test_a_grid_and_its_partitions_have_the_same_keys(cron: str) -> None:
    start, end = datetime(2023, 1, 15, 7, 30, tzinfo=UTC), datetime(2023, 3, 10, 1, tzinfo=UTC)
    grid = Grid(cron, to_ns(start), to_ns(end))

    assert partitions_of(grid).get_partition_keys() == list(grid.keys)
