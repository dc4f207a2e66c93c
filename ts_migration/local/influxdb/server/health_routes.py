"""`/health`, `/ping`, `/ready`, `/metrics`: answers that need no token."""

import time

import psutil

from ts_migration.local.influxdb.server.exchange import Call, Reply, json_reply, rfc3339


def health(call: Call) -> Reply:
    """`GET /health`."""
    return json_reply(
        {
            "name": "influxdb",
            "message": "ready for queries and writes",
            "status": "pass",
            "checks": [],
            "version": call.services.version,
            "commit": "none",
        }
    )


def ping(call: Call) -> Reply:
    """`GET` or `HEAD /ping`."""
    del call
    return Reply(204)


def ready(call: Call) -> Reply:
    """`GET /ready`."""
    up = call.services.clock() - call.services.started_ns
    return json_reply({"status": "ready", "started": rfc3339(call.services.started_ns), "up": _duration(up)})


def _duration(ns: int) -> str:
    """A duration as Go prints it."""
    if ns < 10**9:
        return f"{ns / 10**6:.6f}".rstrip("0").rstrip(".") + "ms"
    minutes, rest = divmod(ns, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest / 10**9:.9f}".rstrip("0").rstrip(".") + "s"
    return (f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else "") + seconds


def metrics(call: Call) -> Reply:
    """`GET /metrics`: what a loader looks at, of buckets in use since the start, and what the process costs.

    influxd tells Go's memory and no CPU; the process's own figures are those of Prometheus's usual collector.
    """
    lines: list[str] = []
    gauges = (
        ("storage_bucket_measurement_num", "Number of measurements of a bucket"),
        ("storage_bucket_series_num", "Number of series of a bucket"),
        ("storage_wal_size", "Bytes in the write-ahead log of a bucket"),
        ("storage_tsm_files_disk_bytes", "Bytes in the data files of a bucket"),
    )
    figures = {bucket_id: bucket.figures() for bucket_id, bucket in call.services.engine.opened().items()}
    for name, help_ in gauges:
        lines += [f"# HELP {name} {help_}", f"# TYPE {name} gauge"]
        lines += [f'{name}{{bucket="{bucket_id}"}} {found[name]}' for bucket_id, found in figures.items()]
    lines += ["# HELP storage_compactions_queued Compactions waiting", "# TYPE storage_compactions_queued gauge"]
    lines += ["storage_compactions_queued 0"]
    lines += ["# HELP process_cpu_seconds_total CPU seconds", "# TYPE process_cpu_seconds_total counter"]
    lines += [f"process_cpu_seconds_total {time.process_time():.2f}"]
    lines += ["# HELP process_resident_memory_bytes Resident memory", "# TYPE process_resident_memory_bytes gauge"]
    lines += [f"process_resident_memory_bytes {psutil.Process().memory_info().rss}", ""]
    return Reply(200, "\n".join(lines).encode(), {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
