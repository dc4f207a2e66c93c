"""What InfluxDB 2 tells of itself at `/metrics` (Prometheus text): memory, disk, queue, and CPU where it tells that.

Values only; `operations.target_load` asks. Names by facts of the storage engine (tsm1, tsdb/shard) and Go's runtime; a
server that leaves one out has None there.
"""

import re
from collections import defaultdict
from dataclasses import dataclass

_SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{[^}]*\})? +(\S+)", re.MULTILINE)
_MEMORY = ("process_resident_memory_bytes", "go_memstats_sys_bytes")
_DISK = ("storage_tsm_files_disk_bytes", "storage_wal_size")
_QUEUE = "storage_compactions_queued"
_DROPPED = "storage_shard_write_dropped_sum"
_CPU = "process_cpu_seconds_total"


@dataclass(frozen=True)
class ServerMetrics:
    """A server's own figures at one moment.

    Attributes:
        cpu_seconds: processor time since its start.
        memory: bytes of the process, or that Go has of the system.
        disk: bytes of data files and write-ahead logs.
        queued: compactions that wait.
        dropped: points that the server dropped since its start.
    """

    cpu_seconds: float | None = None
    memory: int | None = None
    disk: int | None = None
    queued: int | None = None
    dropped: int | None = None


def read_metrics(text: str) -> ServerMetrics:
    """The figures in a Prometheus text, each summed over its labels."""
    sums: dict[str, float] = defaultdict(float)
    for name, value in _SAMPLE.findall(text):
        try:
            sums[name] += float(value)
        except ValueError:
            continue
    disk = [sums[name] for name in _DISK if name in sums]
    memory = next((sums[name] for name in _MEMORY if name in sums), None)
    return ServerMetrics(
        cpu_seconds=sums.get(_CPU),
        memory=_whole(memory),
        disk=_whole(sum(disk)) if disk else None,
        queued=_whole(sums.get(_QUEUE)),
        dropped=_whole(sums.get(_DROPPED)),
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
