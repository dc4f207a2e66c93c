"""A worker process of `execute`: reads tasks from standard input, runs each as a Dagster run, writes an outcome each.

A process and not a thread: Dagster's SQLite instance hangs when two threads execute in process. Standard output carries
outcomes only; all else that prints goes to standard error, which the parent sends to a log file. When the parent dies,
standard input ends and the worker ends with it, leaving a window that the next `execute` goes on with.
"""

import gc
import os
import socket
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from queue import Queue
from typing import IO, TypeVar

import dagster as dg

from ts_migration.config import MigrationConfig, load_config
from ts_migration.disk_space import full_disk_behind
from ts_migration.errors import MigrationError, Permanent
from ts_migration.orchestration.home import open_instance
from ts_migration.orchestration.job_ids import job_id_of
from ts_migration.orchestration.liveness import announce_worker
from ts_migration.orchestration.names import (
    EXECUTION_TAG,
    EXPORT_AGAIN_TAG,
    JOB_ID_TAG,
    PARTITION_TAG,
    REPAIR_TAG,
    WORKER_TAG,
    TableNames,
)
from ts_migration.orchestration.outcomes import (
    outcome_of_error,
    outcome_of_roll_up,
    outcome_of_window,
    removed_of,
)
from ts_migration.orchestration.resources import ExportBucketResource, InfluxDBResource, TimestreamResource
from ts_migration.orchestration.table_definitions import build_definitions
from ts_migration.orchestration.tasks import Outcome, Task, TaskKind
from ts_migration.orchestration.window_run import retry_policy
from ts_migration.stages.collisions import refuse_collisions
from ts_migration.stages.damage import names_of, set_aside
from ts_migration.stages.export import export_group
from ts_migration.stages.placement import target_bucket_id
from ts_migration.stages.proof import proof_of
from ts_migration.stages.repair import Deeds, need_of, stamps_of
from ts_migration.stages.table import frozen_mapping
from ts_migration.timestream.description import describe

Resource = TypeVar("Resource")


class Worker:
    """Runs tasks of one configuration against one Dagster instance."""

    def __init__(
        self, config: MigrationConfig, instance: dg.DagsterInstance, execution_id: str, worker_id: str
    ) -> None:
        self._config = config
        self._instance = instance
        self._definitions = build_definitions(config, pools=False)
        self._execution_id = execution_id
        self._worker = f"{socket.gethostname()}/{worker_id}"

    def perform(self, task: Task) -> Outcome:
        """Do a task; whatever happens becomes an outcome."""
        began = time.monotonic()
        try:
            match task.kind:
                case TaskKind.EXPORT_GROUP:
                    return self._export_group(task, began)
                case TaskKind.WINDOW:
                    return self._window(task, began)
                case TaskKind.CHECK:
                    return self._check(task, began)
                case TaskKind.REPAIR:
                    return self._repair(task, began)
                case TaskKind.ROLL_UP:
                    return self._roll_up(task, began)
        except MigrationError as error:
            return outcome_of_error(error, time.monotonic() - began)
        except Exception as error:
            # A run that cannot be written down: the next command finds it without a process, and fails it.
            full = full_disk_behind(error, Path(self._instance.root_directory))
            if full is None:
                raise
            return outcome_of_error(full, time.monotonic() - began)

    def _tags(self, task: Task) -> dict[str, str]:
        """Tags of every run of a task."""
        return {
            JOB_ID_TAG: job_id_of(self._execution_id, task.job),
            EXECUTION_TAG: self._execution_id,
            WORKER_TAG: self._worker,
        }

    def _export_group(self, task: Task, began: float) -> Outcome:
        job = self._config.job(task.job)
        bucket = self._resource(ExportBucketResource, "export_bucket").bucket()
        query = self._resource(TimestreamResource, "timestream").query(self._config.migration_settings)
        schema = describe(query, job.source_database, job.source_table)
        windows = [job.grid.window(key) for key in task.keys]
        mapping = frozen_mapping(job, self._config.place(job), bucket)
        refuse_collisions(job, schema, mapping, windows, query)
        manifests = export_group(job, self._config.place(job), windows, schema, query, bucket)
        return Outcome(
            ok=True,
            seconds=time.monotonic() - began,
            rows=sum(manifest.rows for manifest in manifests),
            bytes=sum(manifest.bytes for manifest in manifests),
        )

    def _window(self, task: Task, began: float) -> Outcome:
        names = TableNames.of(self._config, self._config.job(task.job))
        again = {EXPORT_AGAIN_TAG: "the source holds other rows than were exported"} if task.export_again else {}
        result = self._definitions.resolve_job_def(names.job).execute_in_process(
            partition_key=task.keys[0], instance=self._instance, tags=self._tags(task) | again, raise_on_error=False
        )
        return outcome_of_window(result, names, time.monotonic() - began)

    def _check(self, task: Task, began: float) -> Outcome:
        names = TableNames.of(self._config, self._config.job(task.job))
        result = self._definitions.resolve_job_def(names.check_job).execute_in_process(
            instance=self._instance, tags=self._tags(task) | {PARTITION_TAG: task.keys[0]}, raise_on_error=False
        )
        return outcome_of_window(result, names, time.monotonic() - began)

    def _repair(self, task: Task, began: float) -> Outcome:
        """Set aside what of a window cannot be read, and mend the rest."""
        job = self._config.job(task.job)
        bucket = self._resource(ExportBucketResource, "export_bucket").bucket()
        query = self._resource(TimestreamResource, "timestream").query(self._config.migration_settings)
        (key,) = task.keys
        damaged = set_aside(job, job.grid.window(key), self._config.place(job).window(key), bucket, query)
        mended = self._mend(task, began)
        if not damaged:
            return mended
        told = (f"{names_of(damaged)} could not be read and was set aside", mended.done)
        return replace(mended, done="; ".join(filter(None, told)))

    def _mend(self, task: Task, began: float) -> Outcome:
        """Look at a window first, for what its last verdicts say may be over; then have done what it needs."""
        job = self._config.job(task.job)
        names, place = TableNames.of(self._config, job), self._config.place(job).window(task.keys[0])
        bucket = self._resource(ExportBucketResource, "export_bucket").bucket()
        # A bucket that is gone cannot be checked: its windows are loaded again.
        target = self._resource(InfluxDBResource, "influxdb").target()
        held = target_bucket_id(job, target, retry_policy(self._config))
        (window,) = proof_of(self._config, job, bucket, held, only=task.keys).windows
        need = need_of(window, place, bucket)
        if window.loaded and job.validation_enabled:
            looked = self._check(task, began)
            if not looked.checks_failed:
                return replace(looked, done="checked again: nothing was wrong any more" if looked.ok else "")
            (window,) = proof_of(self._config, job, bucket, only=task.keys).windows
            need = need_of(window, place, bucket)
        before = stamps_of(place, bucket)
        result = self._definitions.resolve_job_def(names.job).execute_in_process(
            partition_key=task.keys[0],
            instance=self._instance,
            tags=self._tags(task) | {REPAIR_TAG: need},
            raise_on_error=False,
        )
        deeds = Deeds.between(before, stamps_of(place, bucket), removed_of(result))
        return replace(outcome_of_window(result, names, time.monotonic() - began), done=deeds.words)

    def _roll_up(self, task: Task, began: float) -> Outcome:
        names = TableNames.of(self._config, self._config.job(task.job))
        result = self._definitions.resolve_job_def(names.roll_up_job).execute_in_process(
            instance=self._instance, tags=self._tags(task), raise_on_error=False
        )
        return outcome_of_roll_up(result, time.monotonic() - began)

    def _resource(self, kind: type[Resource], name: str) -> Resource:
        resource = (self._definitions.resources or {})[name]
        if not isinstance(resource, kind):
            raise Permanent(f"resource {name} is not a {kind.__name__}")
        return resource


def _read_tasks(source: IO[str], tasks: "Queue[Task]") -> None:
    """Pass tasks on until the parent closes the pipe or dies, then end the process at once.

    A window in the middle is left as it is: its manifests and its ledger tell the next run where to go on.
    """
    for line in source:
        tasks.put(Task.from_line(line))
    os._exit(0)


def main() -> None:
    """`python -m ts_migration.orchestration.worker CONFIG EXECUTION_ID WORKER_ID`, started by `execute`."""
    config_path, execution_id, worker_id = sys.argv[1:]
    outcomes = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    tasks: Queue[Task] = Queue()
    with open_instance() as instance:
        announce_worker(Path(instance.root_directory), worker_id)
        worker = Worker(load_config(Path(config_path)), instance, execution_id, worker_id)
        # What is there now lives as long as the process: the collector need not walk it after every window (0.3 s).
        gc.collect()
        gc.freeze()
        outcomes.write("ready\n")
        threading.Thread(target=_read_tasks, args=(sys.stdin, tasks), daemon=True).start()
        while True:
            outcomes.write(worker.perform(tasks.get()).to_line() + "\n")


if __name__ == "__main__":
    main()
