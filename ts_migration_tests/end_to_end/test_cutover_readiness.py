"""The gate before a cutover, on real servers: what opens it, what shuts it, and how `catch-up` opens it again.

One table is proven once. Each test shuts the gate in one way, looks, and mends it by the command that the gate names.
"""

import time as clock
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from ts_migration.aws import client
from ts_migration.config import MigrationConfig, load_config
from ts_migration.cutover.clients import CutoverClients
from ts_migration.cutover.record import RECORD_KEY, cutover_record
from ts_migration.cutover.switch import revert_cutover
from ts_migration.local.timestream.seed import seed
from ts_migration.objects import ExportBucket
from ts_migration.orchestration.catch_up import CatchUpResult, catch_up
from ts_migration.orchestration.cutover_job import CUTOVER
from ts_migration.orchestration.names import EXPORT_AGAIN_TAG, TableNames
from ts_migration.orchestration.resources import current_environment, target_of
from ts_migration.orchestration.rollback import roll_back
from ts_migration.orchestration.table_definitions import build_definitions
from ts_migration.stages.placement import target_bucket_id
from ts_migration_tests.embedded_stack import EmbeddedStack, clean_environment, configuration
from ts_migration_tests.end_to_end.proven_table import SPEC, at, plant_rows

pytestmark = pytest.mark.stack

JANUARY, FEBRUARY, MARCH = "2023-01-01", "2023-02-01", "2023-03-01"
RANGE = {"start": "2023-01-01T00:00:00Z", "end": "2023-03-20T00:00:00Z"}
SETTINGS = "migration_settings:\n  parallel_jobs: 1\n  retry_delay_seconds: 0.05\n"
CUTOVER_SECTION = """\
cutover:
  approval: manual
  actions:
    - {type: ssm_parameter, name: /plants/database, value: influxdb}
"""


@dataclass
class Gate:
    """A proven table with its configuration, and the sensor over it."""

    stack: EmbeddedStack
    path: Path
    instance: dg.DagsterInstance
    cursor: str | None = None

    @property
    def config(self) -> MigrationConfig:
        return load_config(self.path)

    @property
    def definitions(self) -> dg.Definitions:
        return build_definitions(self.config)

    @property
    def bucket(self) -> ExportBucket:
        return ExportBucket(self.stack.s3(), current_environment().s3_export_bucket)

    @property
    def names(self) -> TableNames:
        return TableNames.of(self.config, self.config.migration_jobs[0])

    def tick(self) -> dg.RunRequest | str:
        """One evaluation of the sensor, with the cursor of the last: the request, or why it skips."""
        definitions = self.definitions
        with dg.build_sensor_context(
            instance=self.instance, definitions=definitions, resources=definitions.resources, cursor=self.cursor
        ) as context:
            answer: Any = definitions.resolve_sensor_def("cutover_sensor")(context)
        if isinstance(answer, dg.SkipReason):
            return answer.skip_message or ""
        (request,) = answer.run_requests
        self.cursor = answer.cursor
        return request

    def shut(self) -> str:
        """Why the sensor skips; it must."""
        answer = self.tick()
        assert isinstance(answer, str), answer
        return answer

    def open(self) -> dg.RunRequest:
        """What the sensor asks for; it must."""
        answer = self.tick()
        assert isinstance(answer, dg.RunRequest), answer
        return answer

    def write(self, *times: str) -> None:
        """Rows that come to the source now."""
        rows = plant_rows().head(len(times)).with_columns(time=pl.Series([at(time) + 7 for time in times]))
        seed(self.stack.timestream_url, SPEC, rows)

    def write_again(self, time: str, plant: str = "Itaipu", subsystem: str = "S", **values: float) -> None:
        """The row of one plant and time, written to the source again with other values."""
        client("timestream-write").write_records(
            DatabaseName=SPEC.database,
            TableName=SPEC.table,
            Records=[
                {
                    "Dimensions": [{"Name": "plant", "Value": plant}, {"Name": "subsystem", "Value": subsystem}],
                    "MeasureName": "metrics",
                    "MeasureValueType": "MULTI",
                    "MeasureValues": [
                        {"Name": name, "Value": repr(value), "Type": "DOUBLE"} for name, value in values.items()
                    ],
                    "Time": str(at(time) + 1),
                    "TimeUnit": "NANOSECONDS",
                    "Version": clock.time_ns(),
                }
            ],
        )

    def catch_up(self) -> CatchUpResult:
        def agree(change: Any) -> bool:
            change.path.write_text(change.after)
            return True

        return catch_up(current_environment(), config_path=self.path, agree=agree)

    def migrate(self, *keys: str) -> None:
        """Run windows and the roll-up in this process."""
        for key in keys:
            assert self.run(self.names.job, partition_key=key).success
        assert self.run(self.names.roll_up_job).success

    def run(self, job: str, **options: Any) -> dg.ExecuteInProcessResult:
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, raise_on_error=False, **options
        )


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """A stack with a table of three months, proven."""
    stack = EmbeddedStack(tmp_path_factory.mktemp("gate"))
    with pytest.MonkeyPatch.context() as patch:
        stack.up()
        try:
            import os

            for name in os.environ.keys() - clean_environment().keys():
                patch.delenv(name)
            path = stack.write_config(configuration(SPEC.table, **RANGE) + SETTINGS + CUTOVER_SECTION)
            home = stack.folder / "home"
            home.mkdir()
            for name, value in {**stack.variables, "DAGSTER_HOME": str(home), "TS_MIGRATION_CONFIG": str(path)}.items():
                patch.setenv(name, value)
            rows = plant_rows()
            seed(stack.timestream_url, SPEC, rows.filter(pl.col("time") < at("2023-03-20")))
            with dg.DagsterInstance.get() as instance:
                gate = Gate(stack, path, instance)
                gate.migrate(JANUARY, FEBRUARY, MARCH)
                yield gate
        finally:
            stack.down()


@pytest.fixture
def gate(proven: Gate) -> Gate:
    """The gate, with a sensor that has never asked for anything."""
    proven.cursor = None
    return proven


def test_the_sensor_asks_once_for_a_proof_however_often_it_is_evaluated(gate: Gate) -> None:
    request = gate.open()

    for _ in range(3):
        assert gate.shut().startswith("ready, and the cutover was requested for this proof (its run is not there yet)")
    gate.cursor = None
    assert gate.open().run_key == request.run_key, "and Dagster runs a key once"


def test_a_proof_that_a_run_speaks_of_is_not_asked_for_again(gate: Gate) -> None:
    request = gate.open()
    gate.cursor = None

    result = gate.run("cutover", tags=request.tags)

    assert result.success
    assert f"run {result.run_id[:8]}, success" in gate.shut()
    gate.instance.delete_run(result.run_id)


def test_a_cutover_by_hand_waits_for_approval_and_changes_nothing(gate: Gate) -> None:
    assert gate.run("cutover").success

    (record,) = gate.instance.fetch_observations(CUTOVER, limit=1).records
    observation = record.asset_observation
    assert observation is not None
    assert observation.metadata["status"].value == "waits for approval"
    assert observation.metadata["next step"].value == "ts-migration cutover --apply --approve"
    assert cutover_record(gate.bucket) is None


def test_an_approved_run_switches_and_the_sensor_asks_for_nothing_more_even_when_it_is_reverted(gate: Gate) -> None:
    result = gate.run("cutover", run_config={"ops": {"switch": {"config": {"approve": True}}}})

    assert result.success
    (record,) = gate.instance.fetch_observations(CUTOVER, limit=1).records
    assert record.asset_observation is not None
    assert record.asset_observation.metadata["status"].value == "applied"
    (change,) = record.asset_observation.metadata["changes"].records  # type: ignore[attr-defined]
    assert change.data == {"what": "ssm_parameter /plants/database: /plants/database: None -> influxdb"}
    assert gate.shut().startswith("the cutover is applied")
    clients = CutoverClients.of(current_environment(), {}, gate.stack.folder)
    assert clients.aws("ssm").get_parameter(Name="/plants/database")["Parameter"]["Value"] == "influxdb"
    assert revert_cutover(gate.config, clients, gate.bucket, "test").state == "reverted"
    assert gate.shut().startswith("ready, and the cutover was begun for this proof and reverted")
    gate.bucket.delete(RECORD_KEY)
    gate.open()


def test_an_export_made_again_alone_shuts_until_its_window_is_done_again(gate: Gate) -> None:
    before = gate.open()
    gate.run(
        gate.names.job,
        partition_key=JANUARY,
        asset_selection=[gate.names.export_files],
        tags={EXPORT_AGAIN_TAG: "test"},
    )

    assert gate.shut() == (
        "not ready: plants-job: windows that were made again after their checks: 1, the first: window 2023-01-01. "
        "Next: ts-migration execute --only plants-job"
    )
    gate.migrate(JANUARY)
    assert gate.open().run_key != before.run_key


def test_a_row_that_comes_late_to_a_proven_window_shuts_until_catch_up(gate: Gate) -> None:
    before = gate.open()
    gate.write("2023-02-10")

    assert "rows that came to proven windows after their export: 1, the first: window 2023-02-01" in gate.shut()
    assert not gate.run("cutover").success, "the job asks again before it acts"
    result = gate.catch_up()
    assert (result.ok, len(result.passes), result.passes[0].jobs[0].ran) == (True, 1, 1)
    assert gate.open().run_key != before.run_key


def test_a_row_written_again_with_other_values_is_met_by_the_last_look_before_the_switch_and_taken_in_by_catch_up(
    gate: Gate,
) -> None:
    """One value is another, and three are gone: no count of rows tells."""
    before = gate.open()
    gate.write_again("2023-02-03", load_mw=1.5)

    assert gate.shut().startswith("ready"), "a tick counts rows"
    assert not gate.run("cutover").success, "all values are read again before anything is switched"
    result = gate.catch_up()
    assert result.ok
    assert [one.jobs[0].ran for one in result.passes] == [1, 0], "what the source has no more is taken back, too"
    gate.cursor = None
    assert gate.open().run_key != before.run_key
    assert gate.run("cutover").success


def test_rows_at_or_after_the_end_shut_until_catch_up_moves_the_end(gate: Gate) -> None:
    """The end lies within March: that window grows, and April is new."""
    gate.write("2023-03-20", "2023-04-02")

    assert "rows at or after end_time in the source: 2, the first: 2023-03-20T00:00:00.000000007Z" in gate.shut()
    result = gate.catch_up()
    assert result.ok
    assert gate.config.migration_jobs[0].grid.keys[-1] == "2023-04-01"
    (job,) = result.passes[0].jobs
    assert (job.ran, job.skipped, job.proven) == (2, 2, 4)
    gate.open()


def test_a_roll_up_whose_manifest_is_gone_shuts_until_it_is_made_again(gate: Gate) -> None:
    before = gate.open()
    gate.bucket.delete(gate.config.place(gate.config.migration_jobs[0]).migrated)

    assert "there is no roll-up" in gate.shut()
    result = gate.catch_up()
    assert (result.ok, result.passes[0].jobs[0].ran) == (True, 0)
    gate.cursor = None
    assert gate.open().run_key == before.run_key, "nothing was proven anew"


def test_a_rollback_shuts_and_the_job_proven_again_in_the_same_bucket_is_asked_for_like_a_first_one(gate: Gate) -> None:
    """Others' points keep the bucket, so that its id stays: nothing but what is done anew tells the proofs apart."""
    before = gate.open()
    assert gate.run("cutover", tags=before.tags).success
    gate.cursor = before.run_key
    assert gate.shut().startswith("ready, and the cutover was requested for this proof")
    job, target = gate.config.migration_jobs[0], target_of(current_environment())
    target.request("POST", "/api/v2/write", {"org": target.org, "bucket": job.target_bucket}, body=b"others value=1")
    held = target_bucket_id(job, target)

    record = roll_back(gate.config, current_environment(), job, gate.bucket, config_path=gate.path, reason="test")

    assert (record.state, record.buckets_deleted) == ("done", ())
    assert "windows that are not migrated" in gate.shut()
    gate.migrate(*job.grid.keys)
    assert target_bucket_id(job, target) == held
    assert gate.open().run_key != before.run_key


def test_a_mapping_that_is_not_the_one_that_the_table_was_begun_with_shuts(gate: Gate) -> None:
    text = gate.path.read_text()

    gate.path.write_text(text.replace("target_bucket:", "mapping: {rename: {plant: station}}\n    target_bucket:"))
    assert "tables that were begun with another grid or mapping than the configuration has: 1" in gate.shut()
    gate.path.write_text(text.replace("target_bucket:", "mapping: {rename: {plant: plant}}\n    target_bucket:"))
    gate.open()  # spelled differently, and the same
    gate.path.write_text(text)


def test_a_bucket_made_anew_shuts_before_the_source_is_asked(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    from ts_migration.orchestration import readiness

    monkeypatch.setattr(readiness, "target_bucket_id", lambda *_: "another")
    monkeypatch.setattr(readiness, "arrivals_of", lambda *_: pytest.fail("the source was asked"))

    assert "windows of which something changed after they were judged" in gate.shut()


def test_a_system_that_cannot_be_asked_shuts_and_says_so(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_TIMESTREAM_QUERY", "http://127.0.0.1:1")

    answer = gate.shut()

    assert "systems that could not be asked: 1" in answer
    assert "Timestream" in answer


def test_rows_after_the_end_that_applications_write_to_both_do_not_shut(gate: Gate) -> None:
    gate.write("2023-07-01")
    text = gate.path.read_text()
    assert "end_time in the source: 1" in gate.shut()

    gate.path.write_text(text.replace("cutover:\n", "cutover:\n  dual_write_since: 2023-04-20\n"))
    gate.open()
    gate.cursor = None
    gate.write("2023-02-11")
    assert "rows that came to proven windows" in gate.shut(), "late rows within a window do, whoever writes to both"
    gate.path.write_text(text.replace("cutover:\n", "cutover:\n  dual_write_since: 2023-05-20\n"))
    assert "applications write to both since 2023-05-20T00:00:00Z only, after end_time" in gate.shut()
