"""What one small window costs beyond Dagster: a run of the real definitions against the same graph with empty bodies.

Run: `.venv/bin/python -m benchmarks.window_overhead [--runs N] [--profile]`. Both run in process as a warm worker of
`execute` does, in turns, each on an SQLite instance of its own, against the whole embedded stack. Windows are exported
ahead by one UNLOAD, as `execute` does it; each bears its share. Budget: at most 0.15 s above the empty graph.
"""

import argparse
import cProfile
import gc
import os
import pstats
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import dagster as dg
from dagster._core.instance.ref import InstanceRef

from benchmarks.rows import Row
from ts_migration.config import MigrationConfig, load_config
from ts_migration.environment import activate, prepare_dagster_home
from ts_migration.local import seeding, stack
from ts_migration.local.state import Service
from ts_migration.orchestration.names import TableNames
from ts_migration.orchestration.partitions import partitions_of
from ts_migration.orchestration.resources import ExportBucketResource, InfluxDBResource, TimestreamResource
from ts_migration.orchestration.table_definitions import build_definitions
from ts_migration.orchestration.tasks import Outcome, Task, TaskKind
from ts_migration.orchestration.worker import Worker

LIMIT_S = 0.15
DATABASE = "ons_energy_data"
TABLE = "load_data"
ROWS_A_DAY = 100
DAYS = 731
FIRST = datetime(2023, 1, 1, tzinfo=UTC)
WARM_UP = 2
"""Windows run before the clock counts: imports, connections, the bucket itself."""
WINDOWS = 40
"""Windows of one table, exported by one UNLOAD: `execute` takes up to 50 small ones together."""
A_RUN = 12
"""Windows measured a run."""


def measure(runs: int, profile: cProfile.Profile | None = None) -> list[Row]:
    """One row, seconds of a window above the empty graph."""
    measured = min(A_RUN * runs, WINDOWS - WARM_UP)
    with tempfile.TemporaryDirectory() as folder, _stack(Path(folder)) as config:
        job = config.migration_jobs[0]
        keys = [(FIRST + timedelta(days=day)).strftime("%Y-%m-%d") for day in range(WINDOWS)]
        with _instance(Path(folder) / "real") as real, _instance(Path(folder) / "empty") as empty:
            worker = Worker(config, real, "bench", "bench-worker")
            # As a worker's own process does before its first window.
            gc.collect()
            gc.freeze()
            share = _exported_ahead(worker, job.slug, keys)
            first = worker.perform(Task(TaskKind.WINDOW, job.slug, (keys[0],)))
            _require(first)
            bare = _EmptyGraph(config, real, empty, first.run_id)
            seconds: dict[str, list[float]] = {"real": [], "empty": []}
            for number, key in enumerate(keys[1 : WARM_UP + measured], 1):
                began = time.perf_counter()
                bare.run(key)
                between = time.perf_counter()
                if profile and number >= WARM_UP:
                    profile.enable()
                _require(worker.perform(Task(TaskKind.WINDOW, job.slug, (key,))))
                if profile:
                    profile.disable()
                if number >= WARM_UP:
                    seconds["empty"].append(between - began)
                    seconds["real"].append(time.perf_counter() - between + share)
    extra = median(real - bare for real, bare in zip(seconds["real"], seconds["empty"], strict=True))
    return [
        Row(
            part=f"window overhead ({median(seconds['real']):.3f} s a window, {share:.3f} s of it its share of UNLOAD)",
            against=f"the same graph with empty bodies ({median(seconds['empty']):.3f} s)",
            value=extra,
            limit=LIMIT_S,
            unit="s",
            ratio=extra / LIMIT_S,
            budget=f"at most {LIMIT_S} s above",
            met=extra <= LIMIT_S,
            runs=len(seconds["real"]),
        )
    ]


def _exported_ahead(worker: Worker, job: str, keys: list[str]) -> float:
    """Export all windows by one UNLOAD after a window alone, which freezes the mapping; seconds of each."""
    _require(worker.perform(Task(TaskKind.WINDOW, job, (keys[0],))))
    began = time.perf_counter()
    _require(worker.perform(Task(TaskKind.EXPORT_GROUP, job, tuple(keys[1:]))))
    return (time.perf_counter() - began) / len(keys[1:])


def _require(outcome: Outcome) -> None:
    if not outcome.ok:
        raise SystemExit(f"a window failed: {outcome.error}")


class _EmptyGraph:
    """The graph of a window whose bodies only return what a real run told Dagster: values, versions, check results."""

    def __init__(
        self, config: MigrationConfig, real: dg.DagsterInstance, instance: dg.DagsterInstance, run_id: str
    ) -> None:
        job = config.migration_jobs[0]
        self._names = TableNames.of(config, job)
        self._instance = instance
        events = [entry.dagster_event for entry in real.all_logs(run_id) if entry.dagster_event]
        made = {
            event.asset_key: event.step_materialization_data.materialization
            for event in events
            if event.is_step_materialization
        }
        told = [event.event_specific_data for event in events]
        self._checked = [data for data in told if isinstance(data, dg.AssetCheckEvaluation)]
        partitions = partitions_of(job.grid)
        chain = (self._names.export_files, self._names.converted_files, self._names.influxdb_bucket)
        assets = [self._asset(key, chain[at - 1 : at], partitions, made[key]) for at, key in enumerate(chain)]
        window_job = dg.define_asset_job("window", selection=dg.AssetSelection.assets(*chain))
        definitions = dg.Definitions(
            assets=assets,
            asset_checks=[self._checks(partitions)],
            jobs=[window_job],
            resources=dict(build_definitions(config).resources or {}),
            executor=dg.in_process_executor,
        )
        self._job = definitions.resolve_job_def("window")

    def run(self, key: str) -> None:
        """Run one window."""
        tags = {"ts_migration/job_id": "bench", "ts_migration/worker": "bench"}
        result = self._job.execute_in_process(
            partition_key=key, instance=self._instance, tags=tags, raise_on_error=False
        )
        if not result.success:
            raise SystemExit("the empty graph failed")

    def _of(self, key: dg.AssetKey) -> list[dg.AssetCheckEvaluation]:
        return [each for each in self._checked if each.asset_key == key]

    def _asset(
        self,
        key: dg.AssetKey,
        parents: tuple[dg.AssetKey, ...],
        partitions: dg.PartitionsDefinition,
        made: dg.AssetMaterialization,
    ) -> dg.AssetsDefinition:
        own = self._of(key) if key != self._names.influxdb_bucket else []
        specs = [
            dg.AssetCheckSpec(each.check_name, asset=key, partitions_def=partitions, blocking=True) for each in own
        ]
        version = dg.DataVersion((made.tags or {})["dagster/data_version"])

        @dg.asset(
            key=key, deps=list(parents), partitions_def=partitions, group_name=self._names.group, check_specs=specs
        )
        def empty(
            export_bucket: ExportBucketResource, timestream: TimestreamResource, influxdb: InfluxDBResource
        ) -> dg.MaterializeResult:
            return dg.MaterializeResult(
                metadata=made.metadata, data_version=version, check_results=[_result(each) for each in own]
            )

        return empty

    def _checks(self, partitions: dg.PartitionsDefinition) -> dg.AssetChecksDefinition:
        key = self._names.influxdb_bucket
        own = self._of(key)
        specs = [
            dg.AssetCheckSpec(each.check_name, asset=key, partitions_def=partitions, blocking=True) for each in own
        ]

        @dg.multi_asset_check(name="checks", specs=specs, can_subset=True)
        def checks(
            export_bucket: ExportBucketResource, timestream: TimestreamResource, influxdb: InfluxDBResource
        ) -> Iterator[dg.AssetCheckResult]:
            for each in own:
                yield _result(each)

        return checks


def _result(each: dg.AssetCheckEvaluation) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=each.asset_key, check_name=each.check_name, passed=each.passed, metadata=each.metadata
    )


@contextmanager
def _stack(folder: Path) -> Iterator[MigrationConfig]:
    """The embedded stack with one table of examples, and this process's environment set to it."""
    kept = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("AWS_", "INFLUX", "DAGSTER", "S3_EXPORT"))]:
        del os.environ[name]
    stack.up(folder)
    try:
        url = stack.require_state(folder).url(Service.TIMESTREAM)
        seeding.seed_examples(url, DATABASE, ROWS_A_DAY * DAYS)
        path = folder / "migration_config.yaml"
        path.write_text(
            "migration_jobs:\n"
            f"  - {{job_name: bench, source_database: {DATABASE}, source_table: {TABLE}, target_bucket: bench, "
            "start_time: 2023-01-01, end_time: 2025-01-01, window: day}\n"
        )
        activate(folder)
        yield load_config(path)
    finally:
        stack.down(folder, delete_data=True)
        os.environ.clear()
        os.environ.update(kept)


@contextmanager
def _instance(home: Path) -> Iterator[dg.DagsterInstance]:
    """An instance as `execute` has it, in a home of its own."""
    prepare_dagster_home(home)
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home))) as instance:
        yield instance


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="print where the windows' own time goes")
    options = parser.parse_args()
    profile = cProfile.Profile() if options.profile else None
    for row in measure(options.runs, profile):
        state = f"{'met' if row.met else 'not met'}; load {os.getloadavg()[0]:.1f}"
        print(f"{row.part}, against {row.against}: {row.value:.3f} s ({row.budget}: {state})")
    if profile:
        pstats.Stats(profile).sort_stats("cumulative").print_stats("ts_migration|botocore/client|urlopen", 60)


if __name__ == "__main__":
    main()
