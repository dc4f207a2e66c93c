"""A run of Dagster's daemon that is cancelled stops within seconds, also while its threads wait for slow servers.

Dagster interrupts the run's main thread; requests in flight would still be waited for. Worker processes of the commands
need none of this: `pool` kills them.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from ts_migration.orchestration.liveness import worker_of

LOOK_S = 2.0
GRACE_S = 3.0
"""How long Dagster's own interrupt is given."""
ASKED_TO_END = {dg.DagsterEventType.RUN_CANCELING, dg.DagsterEventType.RUN_CANCELED}


@contextmanager
def stopped_when_cancelled(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[None]:
    """End the process while the block lasts, once its run was asked to end and does not."""
    if worker_of(run) or instance.is_ephemeral:
        yield
        return
    over = threading.Event()
    threading.Thread(target=_watch, args=(instance, run.run_id, over), name="run stop", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _watch(instance: dg.DagsterInstance, run_id: str, over: threading.Event) -> None:
    while not over.wait(LOOK_S):
        if not _was_asked_to_end(instance, run_id):
            continue
        if over.wait(GRACE_S):
            return
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            instance.report_run_canceled(run, "cancelled; the window goes on from here when it is run again")
        instance.event_log_storage.free_concurrency_slots_for_run(run_id)
        os._exit(1)


def _was_asked_to_end(instance: dg.DagsterInstance, run_id: str) -> bool:
    """By its events, not its status: a run that was cancelled at the moment it began is written down as begun."""
    return bool(instance.get_records_for_run(run_id, of_type=ASKED_TO_END, limit=1).records)
