"""Whether the process that runs a job lives, and what its workers do now.

On its own machine a file lock tells at once, see `liveness`; elsewhere a heart does that beats into Dagster's storage.
"""

import json
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import dagster as dg

from ts_migration.orchestration.job_record import JobBegin
from ts_migration.orchestration.liveness import is_alive

HEARTBEAT_S = 5.0
EXPIRY_S = 20.0
"""Without a beat for so long a process of another machine is gone."""
_PREFIX = "ts_migration/heart/"


@dataclass(frozen=True)
class InFlight:
    """A task that a worker process has: what kind, of which job (slug), which windows, and since when (Unix time)."""

    kind: str
    job: str
    keys: tuple[str, ...]
    since: float


@dataclass(frozen=True)
class Heart:
    """The newest beat of an execution. `held_until` tells until when `allowed_hours` hold new windows back."""

    beat: float
    in_flight: tuple[InFlight, ...] = ()
    held_until: float | None = None


def beat(
    instance: dg.DagsterInstance,
    execution_id: str,
    in_flight: tuple[InFlight, ...] = (),
    held_until: float | None = None,
) -> None:
    """Say that an execution lives, and what its workers do."""
    heart = Heart(time.time(), in_flight, held_until)
    instance.run_storage.set_cursor_values({_PREFIX + execution_id: json.dumps(asdict(heart))})


def heart_of(instance: dg.DagsterInstance, execution_id: str) -> Heart | None:
    """The newest beat; None where there never was one."""
    name = _PREFIX + execution_id
    found = instance.run_storage.get_cursor_values({name}).get(name)
    if not found:
        return None
    raw = json.loads(found)
    tasks = tuple(InFlight(**{**task, "keys": tuple(task["keys"])}) for task in raw["in_flight"])
    return Heart(raw["beat"], tasks, raw["held_until"])


def lives(instance: dg.DagsterInstance, begin: JobBegin) -> bool:
    """Whether the process that runs a job still does."""
    home = Path(instance.root_directory)
    if begin.host == socket.gethostname() and begin.home == str(home):
        return is_alive(home, begin.execution_id)
    heart = heart_of(instance, begin.execution_id)
    return heart is not None and time.time() - heart.beat < EXPIRY_S
