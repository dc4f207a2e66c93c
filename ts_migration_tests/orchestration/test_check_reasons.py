"""A check that did not run, is stale, was skipped or belongs to an older materialisation keeps the cutover shut.

By the events of real runs, over stages that follow a script; the whole-table checks are those of real roll-ups.
"""

import dagster as dg
import pytest

from ts_migration.cutover.readiness import Lack, Reason
from ts_migration.errors import Permanent
from ts_migration.orchestration import table_assets, window_checks
from ts_migration.orchestration.check_reasons import check_reasons
from ts_migration.orchestration.names import TABLE_CHECKS
from ts_migration.orchestration.readiness import _once
from ts_migration.stages.roll_up import MigratedManifest
from ts_migration_tests.orchestration.scripted import FEBRUARY, JANUARY, MARCH, Script
from ts_migration_tests.stages.manifests import verdict


class Gate:
    """The event log of the scripted table, as the sensor reads it."""

    def __init__(self, script: Script, instance: dg.DagsterInstance, patch: pytest.MonkeyPatch) -> None:
        self.script = script
        self._instance = instance
        self._patch = patch

    @property
    def lacks(self) -> list[tuple[Lack, int, str]]:
        found = check_reasons(self._instance, self.script.config, self.script.job)
        return [(reason.lack, reason.count, reason.first) for reason in found]

    def roll_up(self, *failed: str, left_out: str = "") -> None:
        """Materialise `migrated` with its checks."""
        verdicts = [verdict(name, passed=name not in failed) for name in TABLE_CHECKS if name != left_out]
        rolled = MigratedManifest(
            database="grid", table="load", job="load", org="o", bucket="load", measurement="load", range_start_ns=0,
            range_end_ns=1, proof="0" * 64, windows=3, rows=0, points=0, values=0, series=0, verdicts=tuple(verdicts),
            status="proven",
        )  # fmt: skip
        self._patch.setattr(table_assets, "roll_up", lambda *_: rolled)
        job = self.script.definitions.resolve_job_def(self.script.names.roll_up_job)
        job.execute_in_process(
            instance=self._instance, asset_selection=[self.script.names.migrated], raise_on_error=False
        )

    def proven(self) -> None:
        self.script.run_all(self._instance)
        self.roll_up()
        assert self.lacks == []

    def check_again(self, key: str) -> None:
        """Run the checks of a window alone."""
        self.script.definitions.resolve_job_def(self.script.names.check_job).execute_in_process(
            instance=self._instance, tags={"dagster/partition": key}, raise_on_error=False
        )


@pytest.fixture
def gate(script: Script, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(script, instance, monkeypatch)


def test_windows_that_nobody_migrated_are_counted_and_the_first_is_named(gate: Gate) -> None:
    assert gate.lacks == [(Lack.NOT_MIGRATED, 3, f"window {JANUARY}")]


def test_a_check_that_did_not_run_shuts(gate: Gate, script: Script, instance: dg.DagsterInstance) -> None:
    names, job = script.names, script.definitions.resolve_implicit_global_asset_job_def()
    without_checks = job.get_subset(
        asset_selection={names.export_files, names.converted_files, names.influxdb_bucket},
        asset_check_selection=set(names.required_checks) - {names.window_checks[1], names.window_checks[4]},
    )
    for key in (JANUARY, FEBRUARY, MARCH):
        without_checks.execute_in_process(partition_key=key, instance=instance)

    assert gate.lacks == [(Lack.NOT_CHECKED, 6, f"{names.window_checks[1].name} of window {JANUARY}")]


def test_a_check_of_an_older_materialisation_shuts(gate: Gate, script: Script, instance: dg.DagsterInstance) -> None:
    gate.proven()
    job = script.definitions.resolve_implicit_global_asset_job_def()
    job.get_subset(asset_selection={script.names.influxdb_bucket}, asset_check_selection=set()).execute_in_process(
        partition_key=FEBRUARY, instance=instance
    )

    assert gate.lacks == [(Lack.OUTDATED, 5, f"record_count of window {FEBRUARY}")]


def test_a_check_that_was_planned_and_gave_no_verdict_shuts(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    gate.proven()

    def unreachable(*_: object, **__: object) -> None:
        raise Permanent("unreachable")

    monkeypatch.setattr(window_checks, "check_window", unreachable)
    gate.check_again(MARCH)

    assert gate.lacks == [(Lack.NO_VERDICT, 5, f"record_count of window {MARCH}")]


def test_checks_that_were_skipped_because_a_stage_before_them_failed_shut(
    gate: Gate, script: Script, instance: dg.DagsterInstance
) -> None:
    gate.proven()
    script.errors = [Permanent("no export")]
    script.run(instance, FEBRUARY)

    assert gate.lacks == [(Lack.NO_VERDICT, 7, f"export_schema of window {FEBRUARY}")]


def test_a_check_that_failed_shuts_and_one_that_passes_later_opens(
    gate: Gate, script: Script, instance: dg.DagsterInstance
) -> None:
    gate.proven()
    script.failing = {(FEBRUARY, "sample")}
    gate.check_again(FEBRUARY)
    assert gate.lacks == [(Lack.FAILED, 1, f"sample of window {FEBRUARY}")]

    script.failing = set()
    gate.check_again(FEBRUARY)
    assert [lack for lack, *_ in gate.lacks] == [Lack.NOT_ROLLED_UP], "the newest check is newer than the roll-up"
    gate.roll_up()
    assert gate.lacks == []


@pytest.mark.parametrize("stage", ["export_files", "converted_files"])
def test_an_earlier_stage_made_again_alone_shuts(
    gate: Gate, script: Script, instance: dg.DagsterInstance, stage: str
) -> None:
    gate.proven()
    script.attempt[FEBRUARY] += 1
    script.run(instance, FEBRUARY, getattr(script.names, stage))

    assert gate.lacks == [(Lack.MADE_AGAIN, 1, f"window {FEBRUARY}")]


def test_a_table_that_was_not_rolled_up_shuts(gate: Gate, script: Script, instance: dg.DagsterInstance) -> None:
    script.run_all(instance)

    assert [lack for lack, *_ in gate.lacks] == [Lack.NOT_ROLLED_UP]


def test_a_check_of_the_whole_table_that_failed_shuts(gate: Gate) -> None:
    gate.proven()
    gate.roll_up("totals")

    assert gate.lacks == [(Lack.TABLE_FAILED, 1, "totals")]


def test_a_check_of_the_whole_table_that_judged_an_older_roll_up_shuts(
    gate: Gate, script: Script, instance: dg.DagsterInstance
) -> None:
    gate.proven()
    instance.report_runless_asset_event(dg.AssetMaterialization(script.names.migrated))

    assert gate.lacks == [(Lack.TABLE_NOT_CHECKED, len(TABLE_CHECKS), TABLE_CHECKS[0])]


def test_a_check_of_the_whole_table_that_gave_no_verdict_shuts(gate: Gate) -> None:
    gate.proven()
    gate.roll_up(left_out="cardinality")

    assert [lack for lack, *_ in gate.lacks] == [Lack.TABLE_NOT_CHECKED]


def test_a_check_of_the_whole_table_that_failed_is_told_once_with_what_was_expected() -> None:
    by_dagster = Reason(Lack.TABLE_FAILED, "load", 1, "totals", "ts-migration validate")
    by_manifest = Reason(Lack.TABLE_FAILED, "load", 1, "totals: expected 60 values, found 59", "ts-migration validate")
    other = Reason(Lack.TABLE_FAILED, "exchange", 1, "totals", "ts-migration validate")
    windows = [Reason(Lack.FAILED, "load", 2, "window 1", "x"), Reason(Lack.OPEN, "load", 2, "window 1", "x")]
    assert _once([by_dagster, *windows, other, by_manifest]) == [by_manifest, *windows, other]
