"""What it costs to watch 3 jobs of 100 windows: one update of `monitor`, and what it takes from the work beside it.

Run: `.venv/bin/python -m benchmarks.monitor [--runs N]`. Runs are Dagster's own, of a graph with empty bodies, on an
SQLite home: nothing but the storage is shared with the monitor, so nothing hides what it costs. Windows are run in
turns beside a monitor that looks in a process of its own, ten times as often as by default, and beside one that stands
still: neighbours on the machine slow both alike.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, median

import dagster as dg

from benchmarks.rows import Row
from ts_migration.environment import prepare_dagster_home
from ts_migration.orchestration.home import open_instance
from ts_migration.orchestration.job_heart import beat
from ts_migration.orchestration.job_ids import job_id_of
from ts_migration.orchestration.job_record import JobBegin, tell_begun, tell_planned
from ts_migration.orchestration.liveness import announce_worker
from ts_migration.orchestration.monitor import Monitor
from ts_migration.orchestration.names import EXECUTION_TAG, JOB_ID_TAG, JOB_NAME_TAG, TableNames

JOBS, WINDOWS = 3, 100
LIMIT_S = 0.5
"""Of an update."""
SLOWER = 1.1
"""Windows may take so many times as long with a monitor beside them, that looks every second; by default every 10 s."""
PAIRS = 20
"""Pairs of windows a run."""
EXECUTION = "migration-20261122t1015-3f2a"


def measure(runs: int) -> list[Row]:
    """Two rows: seconds of an update, and of a window with a monitor beside it."""
    kept = os.environ.get("DAGSTER_HOME")
    with tempfile.TemporaryDirectory(prefix="ts-migration-bench-") as folder:
        os.environ["DAGSTER_HOME"] = folder
        prepare_dagster_home(Path(folder))
        try:
            with open_instance() as instance:
                return _measured(instance, runs)
        finally:
            os.environ.pop("DAGSTER_HOME")
            if kept is not None:
                os.environ["DAGSTER_HOME"] = kept


def _measured(instance: dg.DagsterInstance, runs: int) -> list[Row]:
    tables = [_Table(instance, f"table{number}") for number in range(JOBS)]
    announce_worker(Path(instance.root_directory), EXECUTION)
    beat(instance, EXECUTION)
    pairs = min(PAIRS * runs, JOBS * WINDOWS // 4)
    windows = iter([(table, key) for key in _keys() for table in tables])
    for _ in range(JOBS * WINDOWS - 2 * pairs):
        table, key = next(windows)
        table.run(key)
    seconds: dict[bool, list[float]] = {False: [], True: []}
    with _watched() as monitoring:
        for number in range(2 * pairs):
            # Of every two pairs one begins with, one without: a trend counts for neither.
            watched = number % 4 in (0, 3)
            monitoring.send_signal(signal.SIGCONT if watched else signal.SIGSTOP)
            table, key = next(windows)
            began = time.perf_counter()
            table.run(key)
            seconds[watched].append(time.perf_counter() - began)
        monitoring.send_signal(signal.SIGCONT)
    monitor = Monitor(instance)
    began = time.perf_counter()
    jobs = monitor.look().jobs
    first = time.perf_counter() - began
    if sum(job.done for job in jobs) != JOBS * WINDOWS or len(jobs) != JOBS:
        raise SystemExit(f"the monitor sees {sum(job.done for job in jobs)} windows of {len(jobs)} jobs")
    updates = []
    for _ in range(max(5, runs)):
        began = time.perf_counter()
        monitor.look()
        updates.append(time.perf_counter() - began)
    # Means: an update falls into one of three windows, and a median would not see it.
    without, beside = mean(seconds[False]), mean(seconds[True])
    return [
        Row(
            part=f"monitor: an update of {JOBS} jobs of {WINDOWS} windows (the first look {first:.3f} s)",
            against="its limit",
            value=median(updates),
            limit=LIMIT_S,
            unit="s",
            ratio=median(updates) / LIMIT_S,
            budget=f"at most {LIMIT_S} s",
            met=max(first, median(updates)) <= LIMIT_S,
            runs=len(updates),
        ),
        Row(
            part="monitor: a window of Dagster's with a monitor beside it, an update a second",
            against="the same without one",
            value=beside,
            limit=without,
            unit="s",
            ratio=beside / without,
            budget=f"at most {SLOWER} times as long",
            met=beside <= SLOWER * without,
            runs=len(seconds[True]),
        ),
    ]


def _keys() -> list[str]:
    return [f"w{number:03d}" for number in range(WINDOWS)]


class _Table:
    """A job that is under way, and the graph of its windows with bodies that only tell what a window tells."""

    def __init__(self, instance: dg.DagsterInstance, name: str) -> None:
        self._instance, self._name = instance, name
        self._id = job_id_of(EXECUTION, name)
        names = TableNames(("bench", name))
        home = str(Path(instance.root_directory))
        tell_begun(
            instance,
            JobBegin(
                self._id, EXECUTION, "execute", name, f"bench.{name}", name, f"bench/{name}", "bench.yaml", WINDOWS,
                host=socket.gethostname(), home=home, pid=os.getpid(),
            ),
        )  # fmt: skip
        tell_planned(instance, self._id, WINDOWS)
        partitions = dg.StaticPartitionsDefinition(_keys())
        chain = names.stages
        assets = [_asset(key, chain[at - 1 : at] if at else (), partitions) for at, key in enumerate(chain)]
        job = dg.define_asset_job(names.job, selection=dg.AssetSelection.assets(*chain))
        definitions = dg.Definitions(assets=assets, jobs=[job], executor=dg.in_process_executor)
        self._job = definitions.resolve_job_def(names.job)

    def run(self, key: str) -> None:
        """Run one window."""
        tags = {JOB_ID_TAG: self._id, EXECUTION_TAG: EXECUTION, JOB_NAME_TAG: self._name}
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        result = self._job.execute_in_process(
            run_config=quiet, partition_key=key, instance=self._instance, tags=tags, raise_on_error=False
        )
        if not result.success:
            raise SystemExit("a window failed")


def _asset(
    key: dg.AssetKey, parents: tuple[dg.AssetKey, ...], partitions: dg.PartitionsDefinition
) -> dg.AssetsDefinition:
    @dg.asset(key=key, deps=list(parents), partitions_def=partitions)
    def empty() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"rows": 1_000, "points": 1_000, "quarantined": 0})

    return empty


@contextmanager
def _watched() -> "Iterator[subprocess.Popen[str]]":
    """A monitor in a process of its own, from its first update on."""
    command = [sys.executable, "-m", "ts_migration.cli.main", "monitor", "--json", "--update-interval", "1"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process,
    ):
        try:
            if process.stdout is None or not process.stdout.readline():
                raise SystemExit("the monitor ended before its first update")
            yield process
        finally:
            process.kill()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    for row in measure(parser.parse_args().runs):
        state = f"{'met' if row.met else 'not met'}; load {os.getloadavg()[0]:.1f}"
        print(f"{row.part}, against {row.against}: {row.value:.3f} s, {row.ratio:.2f} ({row.budget}: {state})")


if __name__ == "__main__":
    main()
