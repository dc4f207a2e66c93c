"""CPU, memory and network of this machine, and of the processes that work on runs. Processes elsewhere are not seen.

A worker process names its id on its command line, a run that Dagster's daemon launched names its run id there.
"""

import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class ProcessLoad:
    """A process that works on a migration. `cpu`: share of one processor, since it was looked at last."""

    pid: int
    cpu: float
    memory: int
    """Bytes that are resident."""


@dataclass(frozen=True)
class MachineLoad:
    """This machine, since it was looked at last.

    Attributes:
        cpu: share of all processors.
        memory: share of what there is.
        sent, received: bytes a second over all interfaces.
    """

    processors: int
    cpu: float
    memory: float
    sent: float
    received: float
    workers: tuple[ProcessLoad, ...]


class LoadMeter:
    """Looks at the machine and its workers again and again; the first look tells no rates."""

    def __init__(self) -> None:
        self._processes: dict[int, psutil.Process] = {}
        self._network: tuple[float, int, int] | None = None

    def look(self, markers: Collection[str]) -> MachineLoad:
        """The load now. `markers`: ids of workers and runs, one of which is on the command line of each process."""
        sent, received = self._rates()
        return MachineLoad(
            processors=psutil.cpu_count() or 1,
            cpu=psutil.cpu_percent() / 100,
            memory=psutil.virtual_memory().percent / 100,
            sent=sent,
            received=received,
            workers=tuple(self._workers(markers)),
        )

    def _workers(self, markers: Collection[str]) -> list[ProcessLoad]:
        if not markers:
            return []
        found: dict[int, psutil.Process] = {}
        for process in psutil.process_iter(["cmdline"]):
            words = " ".join(process.info["cmdline"] or ())
            if any(marker in words for marker in markers):
                found[process.pid] = self._processes.get(process.pid, process)
        self._processes = found
        loads = []
        for pid, process in sorted(found.items()):
            with suppress(psutil.Error):
                loads.append(ProcessLoad(pid, process.cpu_percent() / 100, process.memory_info().rss))
        return loads

    def _rates(self) -> tuple[float, float]:
        counters = psutil.net_io_counters()
        now = (time.monotonic(), counters.bytes_sent, counters.bytes_recv) if counters else None
        before, self._network = self._network, now
        if before is None or now is None or now[0] <= before[0]:
            return 0.0, 0.0
        seconds = now[0] - before[0]
        return max(0, now[1] - before[1]) / seconds, max(0, now[2] - before[2]) / seconds
