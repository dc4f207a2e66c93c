"""Opens Dagster's instance of this process's home, and makes its storage under a lock where there is none yet.

Dagster makes its tables without one: of two commands that open a new home at once, one fails on a table that the other
has just made. `dagster dev` cannot be told to wait; it opens what a command has made before.
"""

import fcntl
import os
from pathlib import Path

import dagster as dg

MADE = "storage-is-made"
"""Empty file of a home whose storage is complete."""


def open_instance() -> dg.DagsterInstance:
    """The instance of DAGSTER_HOME; a context manager, as `DagsterInstance.get()` is."""
    home = Path(os.environ["DAGSTER_HOME"])
    made = home / MADE
    if not made.exists():
        folder = home / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "storage").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                _make()
                made.touch()
    return dg.DagsterInstance.get()


def _make() -> None:
    """Have each of the three storages make what it keeps: Dagster does so with the first use."""
    with dg.DagsterInstance.get() as instance:
        instance.get_runs(limit=1)
        instance.event_log_storage.get_event_records(
            dg.EventRecordsFilter(dg.DagsterEventType.ASSET_MATERIALIZATION), limit=1
        )
        instance.all_instigator_state()
