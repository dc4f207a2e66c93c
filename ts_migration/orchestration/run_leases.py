"""The lease of a window from a run's first stage to its last, where they share a process: taken once, not four times.

A stage that ends well leaves its lease, heart and all, to the next stage of the same run; one that fails, and the last,
let it go. What a lease is and how it is taken is in `leases`.
"""

import atexit
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ts_migration.errors import MigrationError
from ts_migration.objects import ExportBucket, WindowPlace
from ts_migration.orchestration.leases import leased
from ts_migration.stages.leased_bucket import LeasedBucket

KEPT_S = 2.0
"""How long a lease waits for the run's next stage: between two of them Dagster stores events for some 0.1 s."""


@dataclass(eq=False)
class _Held:
    """A lease that this process holds for a run."""

    owner: str
    bucket: LeasedBucket
    lease: ExitStack
    timers: list[threading.Timer] = field(default_factory=list)


_kept: dict[tuple[Path, str], _Held] = {}
"""By lock folder and window: what waits for its run's next stage."""
_keeping = threading.Lock()


@contextmanager
def run_lease(
    bucket: ExportBucket,
    place: WindowPlace,
    owner: str,
    *,
    lock_folder: Path,
    wait_s: float,
    on_wait: Callable[[str], None],
    keep_s: float = KEPT_S,
) -> Iterator[LeasedBucket]:
    """Hold a window for one stage of a run, and keep it for the next.

    Args:
        owner, lock_folder, wait_s, on_wait: as of `leased`.
        keep_s: how long the lease waits for the next stage; 0 for the last one.

    Yields:
        The export bucket, which remembers the window's proof while the lease is held.

    Raises:
        Transient: another run still held the window after `wait_s`.
    """
    key = (lock_folder, place.lease)
    held = _taken_back(key, owner)
    if held is None:
        with ExitStack() as stack:
            lease = stack.enter_context(
                leased(bucket, place, owner, lock_folder=lock_folder, wait_s=wait_s, on_wait=on_wait)
            )
            held = _Held(owner, LeasedBucket(bucket, place, lease.require), stack.pop_all())
    try:
        yield held.bucket
    except BaseException:
        held.lease.close()
        raise
    if keep_s:
        _keep(key, held, keep_s)
    else:
        held.lease.close()


def _taken_back(key: tuple[Path, str], owner: str) -> _Held | None:
    """What a stage of this run left; what another run of this process left is let go: that run has ended."""
    with _keeping:
        held = _kept.pop(key, None)
    if held is None:
        return None
    for timer in held.timers:
        timer.cancel()
    held.timers.clear()
    if held.owner == owner:
        return held
    held.lease.close()
    return None


def _keep(key: tuple[Path, str], held: _Held, keep_s: float) -> None:
    timer = threading.Timer(keep_s, _let_go, (key, held))
    timer.daemon = True
    held.timers.append(timer)
    with _keeping:
        _kept[key] = held
    timer.start()


def _let_go(key: tuple[Path, str], held: _Held) -> None:
    with _keeping:
        if _kept.get(key) is not held or not held.timers:
            return
        del _kept[key]
    _close(held)


@atexit.register
def _let_all_go() -> None:
    """A process that ends leaves nothing that another machine would wait for."""
    with _keeping:
        left = list(_kept.values())
        _kept.clear()
    for held in left:
        _close(held)


def _close(held: _Held) -> None:
    # Nobody is left to be told, and a lease whose heart has stopped is dead soon.
    with suppress(MigrationError):
        held.lease.close()
