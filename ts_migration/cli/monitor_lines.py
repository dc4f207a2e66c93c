"""A job, the machine and the target as words: one job is a row of a table, or a line."""

from typing import TYPE_CHECKING

from ts_migration.cli.console import bytes_text

if TYPE_CHECKING:
    from ts_migration.operations.target_load import TargetLoad
    from ts_migration.operations.worker_load import MachineLoad
    from ts_migration.orchestration.monitored_job import MonitoredJob


def columns() -> list[str]:
    """Heads of the table's columns."""
    return ["job id", "state", "step", "windows", "failed", "rows", "points", "points/s now", "mean", "took", "left"]


def row(job: "MonitoredJob") -> list[str]:
    """A job as a row."""
    return [
        job.id,
        job.state.value,
        "" if job.over else job.step,
        _windows(job),
        f"{job.failed:,}",
        f"{job.rows:,}",
        f"{job.points:,}",
        "" if job.over else f"{job.rate_now:,.0f}",
        f"{job.rate:,.0f}",
        duration(job.seconds),
        "" if job.left_s is None else duration(job.left_s),
    ]


def job_line(job: "MonitoredJob") -> str:
    """A job as a line."""
    words = [f"{job.id}: {job.state.value}", f"{_windows(job)} windows"]
    if job.failed:
        words.append(f"{job.failed:,} failed")
    if job.queued:
        words.append(f"{job.queued:,} queued")
    if not job.over and job.running:
        words.append(f"in {job.step} ({len(job.running)} at work)")
    words.append(f"{job.rows:,} rows, {job.points:,} points")
    now = "" if job.over else f"{job.rate_now:,.0f} points/s now, "
    words.append(f"{now}{job.rate:,.0f} points/s on the whole")
    words.append(f"{'took' if job.over else 'for'} {duration(job.seconds)}")
    if job.left_s is not None:
        words.append(f"about {duration(job.left_s)} left")
    return ", ".join(words)


def remarks_of(job: "MonitoredJob") -> list[str]:
    """Errors and warnings with the command to run next."""
    found = [("error", remark) for remark in job.errors] + [("warning", remark) for remark in job.warnings]
    return [
        f"{kind}: {remark.text.removesuffix('.')}. Next: {remark.next_step}"
        if remark.next_step
        else f"{kind}: {remark.text}"
        for kind, remark in found
    ]


def workers_line(load: "MachineLoad") -> str:
    """This machine and the processes on it that work."""
    workers = load.workers
    cpu = sum(worker.cpu for worker in workers)
    memory = sum(worker.memory for worker in workers)
    count = f"{len(workers)} worker{'' if len(workers) == 1 else 's'} here"
    used = f": {cpu:.0%} CPU, {bytes_text(memory)}" if workers else ""
    return (
        f"{count}{used}; machine: {load.cpu:.0%} of {load.processors} CPUs, {load.memory:.0%} memory, "
        f"network {bytes_text(load.sent)}/s out, {bytes_text(load.received)}/s in"
    )


def target_line(load: "TargetLoad") -> str:
    """The InfluxDB, as far as it is told."""
    words = []
    if load.cpu is not None:
        words.append(f"{load.cpu:.0%} CPU")
    if load.memory_share is not None:
        words.append(f"{load.memory_share:.0%} memory")
    elif load.memory is not None:
        words.append(f"{bytes_text(load.memory)} memory")
    if load.disk is not None:
        words.append(f"{bytes_text(load.disk)} on disk")
    if load.disk_share is not None:
        words.append(f"disk {load.disk_share:.0%} full")
    if load.queued is not None:
        words.append(f"{load.queued:,} compactions queued")
    if load.dropped:
        words.append(f"{load.dropped:,} points dropped")
    if load.problem:
        words.append(load.problem)
    return f"target {load.url}: {', '.join(words) or 'it tells nothing of these'}"


def duration(seconds: float) -> str:
    """Seconds for people: 45 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _windows(job: "MonitoredJob") -> str:
    """Windows done of those that are to be done."""
    return f"{job.done:,} of {'?' if job.windows is None else f'{job.windows:,}'}"
