"""From Dagit's side: `dagster dev` in a working folder, driven by its GraphQL API as the UI drives it.

Two tables. `plants` is backfilled over three windows of which two are spoiled beforehand; while the daemon works on it,
windows of `dams` are run by themselves. What a run does with a window is tested elsewhere; here it is what an operator
sees and may rely on.
"""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from ts_migration.influxdb.buckets import ensure
from ts_migration.orchestration.check_state import table_state
from ts_migration.orchestration.names import WINDOW_CHECKS, WRITE_POOL, TableNames
from ts_migration.stages.proof import proof_of
from ts_migration_tests.embedded_stack import DATABASE, EmbeddedStack, run_command
from ts_migration_tests.end_to_end.dagit import Dagit, await_value, dagster_dev
from ts_migration_tests.end_to_end.history import history
from ts_migration_tests.end_to_end.proven_table import ProvenTable, at, stack_with_plants
from ts_migration_tests.infra.orchestrator_module import load_handler

pytestmark = pytest.mark.stack

JANUARY, FEBRUARY, MARCH = "2023-01-01", "2023-02-01", "2023-03-01"
JOB = """
  - job_name: {table}
    source_database: {database}
    source_table: {table}
    target_bucket: {table}
    start_time: 2023-01-01T00:00:00Z
    end_time: {end}
"""
CONFIG = (
    "migration_jobs:"
    + JOB.format(table="plants", database=DATABASE, end="2023-03-31T23:59:59Z")
    + JOB.format(table="dams", database=DATABASE, end="2023-02-28T23:59:59Z")
    + "migration_settings: {parallel_jobs: 2, retry_delay_seconds: 0.01}\n"
)
PLANTS, DAMS = f"{DATABASE}/plants", f"{DATABASE}/dams"
PROCESS = re.compile(r"Started process for run \(pid: (\d+)\)")
FOREIGN = ",plant=alien load_mw=1 "
STAGES = ("export_files", "line_protocol_files", "influxdb_bucket")


@dataclass
class Scene:
    """Dagit over the stack, and a backfill of the plants that is under way."""

    stack: EmbeddedStack
    plants: ProvenTable
    dagit: Dagit
    backfill: str

    def run_window(self, table: str, key: str, *assets: str) -> str:
        """Materialise a window, or some assets of it; the run's id, once it has ended."""
        chosen = [f"{DATABASE}/{table}/{asset}" for asset in assets]
        run = self.dagit.launch(f"migrate_{DATABASE}__{table}", *chosen, **{"dagster/partition": key})
        self.dagit.finish(run)
        return run


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("dagit")
    with stack_with_plants(folder, CONFIG, "plants", "dams") as (stack, plants):
        stack.write_config(CONFIG)
        for command in (("local", "up"), ("status",)):
            done = stack.run(*command)
            assert done.returncode == 0, done.stderr
        spoil(plants)
        with dagster_dev(folder) as dagit:
            assets = [f"{PLANTS}/{asset}" for asset in STAGES]
            yield Scene(stack, plants, dagit, dagit.backfill(assets, [JANUARY, FEBRUARY, MARCH]))


def spoil(plants: ProvenTable) -> None:
    """February's export loses a row, and says that it never had it; a point of somebody else lies in March."""
    plants.export(plants.spoiled)
    plants.rewrite_export(lambda rows: rows.slice(1))
    ensure(plants.target, plants.job.target_bucket, plants.job.shard_group_duration)
    plants.write(FOREIGN + str(at("2023-03-15")))


def test_definitions_load_with_the_embedded_defaults_and_no_variable_set(scene: Scene) -> None:
    assert scene.dagit.location_error() is None
    tables = {f"{table}/{asset}" for table in (PLANTS, DAMS) for asset in (*STAGES, "migrated")}
    assert scene.dagit.assets() == {*tables, "migration_report"}


def test_a_range_run_is_refused_with_the_way_out_and_leaves_nothing_green(scene: Scene) -> None:
    tags = {"dagster/asset_partition_range_start": JANUARY, "dagster/asset_partition_range_end": FEBRUARY}
    run = scene.dagit.launch(f"migrate_{DATABASE}__dams", **tags)

    assert scene.dagit.finish(run) == "FAILURE"
    (said,) = set(scene.dagit.failures_of(run))
    assert "this run spans several windows or none" in said
    assert "launch a backfill over the range" in said
    for asset in STAGES:
        assert scene.dagit.partitions(f"{DAMS}/{asset}") == set()
        assert not any(scene.dagit.verdicts(f"{DAMS}/{asset}", "SUCCEEDED").values())


def test_one_window_is_materialised_and_read_with_its_metadata_and_its_five_verdicts(scene: Scene) -> None:
    run = scene.run_window("dams", JANUARY)

    assert scene.dagit.status_of(run) == "SUCCESS"
    assert [scene.dagit.partitions(f"{DAMS}/{asset}") for asset in STAGES] == [{JANUARY}] * 3
    (export,) = scene.dagit.materializations(f"{DAMS}/export_files", JANUARY)
    (load,) = scene.dagit.materializations(f"{DAMS}/influxdb_bucket", JANUARY)
    assert (export["rows"], load["points"], load["dagster/partition_row_count"]) == (248, 248, 248)
    assert load["window"] == "2023-01-01T00:00:00Z to 2023-02-01T00:00:00Z"
    assert load["manifest"].endswith(f"manifests/{DAMS}/{JANUARY}/load.json")
    assert scene.dagit.verdicts(f"{DAMS}/influxdb_bucket", "SUCCEEDED") == five(JANUARY)
    newest = scene.dagit.executions(f"{DAMS}/influxdb_bucket", "checksum")[0]
    assert (newest["status"], newest["partition"]) == ("SUCCEEDED", JANUARY)
    told = {entry["label"]: entry.get("text") for entry in newest["evaluation"]["metadataEntries"]}
    assert told["expected"] == told["actual"]


def test_an_export_made_again_alone_leaves_its_window_neither_green_nor_proven(scene: Scene) -> None:
    plants = scene.plants
    job = plants.config.job("dams")
    names = TableNames.of(plants.config, job)
    plants.bucket.delete(plants.config.place(job).window(JANUARY).manifest("export"))

    run = scene.run_window("dams", JANUARY, "export_files")

    assert scene.dagit.status_of(run) == "SUCCESS"
    # Dagster goes on showing the bucket's checks as green and the bucket as fresh; only its direct child is stale.
    assert scene.dagit.verdicts(f"{DAMS}/influxdb_bucket", "SUCCEEDED")["checksum"] == {JANUARY}
    assert [scene.dagit.stale(f"{DAMS}/{asset}", JANUARY) for asset in STAGES] == ["FRESH", "STALE", "FRESH"]
    home = scene.stack.variables["DAGSTER_HOME"]
    with dg.DagsterInstance.from_config(home) as instance:
        state = table_state(instance, names, job.grid.keys)
    assert state.reasons == {"made again after the checks": (JANUARY,), "failed": (FEBRUARY,)}
    window = proof_of(plants.config, job, plants.bucket).windows[0]
    assert (window.status, window.reason.split(";")[0]) == ("stale", "the export was made again after the conversion")
    rolled_up = scene.dagit.launch(f"roll_up_{DATABASE}__dams")
    assert scene.dagit.finish(rolled_up) == "FAILURE"
    assert "2 of 2 windows are not proven: 2023-01-01: stale" in scene.dagit.failures_of(rolled_up)[0]
    assert scene.dagit.materializations(f"{DAMS}/migrated") == []


def test_a_backfill_with_spoiled_windows_is_rolled_up_only_after_they_are_mended(scene: Scene) -> None:
    dagit, bucket = scene.dagit, f"{PLANTS}/influxdb_bucket"

    def ended() -> dict[str, str] | None:
        runs = dagit.runs_of_backfill(scene.backfill)
        return runs if len(runs) == 3 and set(runs.values()) <= {"SUCCESS", "FAILURE"} else None

    assert await_value(ended, "the backfill to end") == {JANUARY: "SUCCESS", FEBRUARY: "FAILURE", MARCH: "FAILURE"}
    assert dagit.partitions(bucket) == {JANUARY, FEBRUARY}
    assert dagit.partitions(bucket, "FAILED") == {MARCH}
    assert dagit.verdicts(bucket, "SUCCEEDED")["record_count"] == {JANUARY}
    assert dagit.verdicts(bucket, "FAILED")["record_count"] == {FEBRUARY}
    assert dagit.verdicts(bucket, "SUCCEEDED")["checksum"] == {JANUARY, FEBRUARY}
    failed = next(each for each in dagit.executions(bucket, "record_count") if each["partition"] == FEBRUARY)
    told = {entry["label"]: entry.get("text") for entry in failed["evaluation"]["metadataEntries"]}
    assert told["broken by"] == "export"
    waits = "plants: 2 of 3 windows are not green: 2 failed (2023-02-01, 2023-03-01)"
    await_value(lambda: waits in dagit.skip_reason("rollup_sensor") or None, "the sensor to say what it waits for")
    assert dagit.materializations(f"{PLANTS}/migrated") == []

    scene.plants.delete(at("2023-03-15"), at("2023-03-15") + 1)
    for key in (FEBRUARY, MARCH):
        assert dagit.status_of(scene.run_window("plants", key)) == "SUCCESS"

    assert dagit.verdicts(bucket, "SUCCEEDED") == five(JANUARY, FEBRUARY, MARCH)
    (migrated,) = await_value(lambda: dagit.materializations(f"{PLANTS}/migrated") or None, "the roll-up")
    assert (migrated["status"], migrated["windows"], migrated["points"]) == ("proven", 3, 664)
    await_value(lambda: dagit.materializations("migration_report") or None, "the report")


def test_the_orchestrators_lambda_rolls_a_table_back_by_a_job_that_dagit_shows(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By the backfill of the test above, of which two windows failed.
    monkeypatch.setenv("DAGSTER_URL", scene.dagit.url)
    monkeypatch.delenv("DAGSTER_HEADERS_SECRET_ARN", raising=False)
    migration = {"tables": [{"table": PLANTS, "backfill": scene.backfill}]}
    (launched,) = load_handler().handler({"action": "roll_back", "migration": migration})["rolled_back"]

    assert scene.dagit.finish(launched["run"]) == "SUCCESS", scene.dagit.failures_of(launched["run"])
    with history(scene.stack) as instance:
        state = table_state(instance, TableNames(tuple(PLANTS.split("/"))), (JANUARY, FEBRUARY, MARCH))
    assert not state.materialized and not state.green and not state.rolled_up
    record = scene.plants.bucket.get_or_none(f"manifests/{PLANTS}/rollback.json")
    assert record is not None and launched["run"].encode() in record and b'"state": "done"' in record


def test_a_run_of_the_daemon_is_cancelled_with_its_backfill_within_seconds(scene: Scene) -> None:
    dagit, stack = scene.dagit, scene.stack
    slow = "influxdb slow --on *POST*/api/v2/write* --delay 20"
    assert stack.run("local", "faults", "set", *slow.split()).returncode == 0
    try:
        # Rolled back by the test above: every window is to be loaded again.
        backfill = dagit.backfill([f"{PLANTS}/{asset}" for asset in STAGES], [JANUARY, FEBRUARY, MARCH])
        run = await_value(lambda: dagit.loading(backfill), "a window of the backfill to be loaded")
        answer = stack.run("execute", "--cancel-job", run)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        told = re.search(rf"{backfill}: cancelled, .* stopped within ([\d.]+) s", answer.stdout)
        assert told and float(told[1]) < 10, answer.stdout
        runs = dagit.runs_of_backfill(backfill)
        assert set(runs.values()) == {"CANCELED"}
        await_value(lambda: dagit.status_of_backfill(backfill) == "CANCELED" or None, "the daemon to end the backfill")
        assert dagit.runs_of_backfill(backfill) == runs, "and no other run was launched"
        again = stack.run("execute", "--cancel-job", backfill)
        assert (again.returncode, "it had ended before: canceled" in again.stderr) == (1, True), again.stderr
    finally:
        stack.run("local", "faults", "clear")


def test_a_run_of_the_daemon_that_is_killed_keeps_no_slot_from_the_next_backfill(scene: Scene) -> None:
    dagit, stack = scene.dagit, scene.stack
    with history(stack) as instance:
        instance.event_log_storage.set_concurrency_slots(WRITE_POOL, 1)
    slow = "influxdb slow --on *POST*/api/v2/write* --delay 20"
    assert stack.run("local", "faults", "set", *slow.split()).returncode == 0
    try:
        killed = dagit.backfill([f"{PLANTS}/{asset}" for asset in STAGES], [JANUARY])
        run = await_value(lambda: dagit.loading(killed), "a window to be loaded")
        with history(stack) as instance:
            told = next(filter(None, (PROCESS.search(event.message) for event in instance.all_logs(run))))
        os.kill(int(told[1]), signal.SIGKILL)
    finally:
        stack.run("local", "faults", "clear")

    backfill = dagit.backfill([f"{PLANTS}/{asset}" for asset in STAGES], [FEBRUARY])
    proven = {FEBRUARY: "SUCCESS"}
    await_value(lambda: dagit.runs_of_backfill(backfill) == proven or None, "the slot to be free", timeout_s=60)
    assert dagit.status_of(run) == "FAILURE"


@pytest.mark.parametrize("servers", ["none_named", "all_down"])
def test_definitions_load_without_any_server(tmp_path: Path, servers: str) -> None:
    (tmp_path / "migration_config.yaml").write_text(CONFIG)
    if servers == "all_down":
        (tmp_path / ".env").write_text(
            "INFLUXDB_URL=http://127.0.0.1:9\nINFLUXDB_TOKEN=t\nINFLUXDB_ORG=o\nS3_EXPORT_BUCKET=b\n"
            "AWS_ENDPOINT_URL=http://127.0.0.1:9\n"
        )

    done = validate_definitions(tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_folder_without_a_configuration_says_so_and_what_to_do(tmp_path: Path) -> None:
    done = validate_definitions(tmp_path)

    assert done.returncode != 0
    assert "there is no configuration file migration_config.yaml" in done.stdout + done.stderr
    assert (
        "set TS_MIGRATION_CONFIG, or start in the folder that holds migration_config.yaml" in done.stdout + done.stderr
    )


def five(*keys: str) -> dict[str, set[str]]:
    """The five checks of a window, each with these partitions."""
    return {check: set(keys) for check in WINDOW_CHECKS}


def validate_definitions(folder: Path) -> "subprocess.CompletedProcess[str]":
    return run_command("-m", "dagster", "definitions", "validate", "-m", "ts_migration.definitions", cwd=folder)
