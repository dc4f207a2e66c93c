"""A later end_time put into a configuration file: those characters change and no others, and the former text is kept.

Only a text that then says exactly what was wanted is given back; where an end_time comes from an anchor or a merge key,
it is refused. Whether it may be written is the caller's to ask.
"""

import difflib
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import yaml

from ts_migration.config import MigrationConfig, parse_config
from ts_migration.errors import ConfigurationError, Refused
from ts_migration.windows import iso


def with_end_times(text: str, ends_ns: Mapping[str, int]) -> str:
    """The text of a configuration with other end_times.

    Args:
        text: of the whole file.
        ends_ns: job_name -> exclusive end, ns.

    Raises:
        Refused: the text cannot be changed without changing more than that.
    """
    before = parse_config(text)
    changes = []
    for name, end_ns in ends_ns.items():
        node = _end_time(text, name)
        if node is None:
            raise _refused(name, end_ns)
        quote = node.style if node.style in ('"', "'") else ""
        changes.append((node.start_mark.index, node.end_mark.index, f"{quote}{iso(end_ns)}{quote}"))
    changed = text
    for start, end, value in sorted(changes, reverse=True):
        changed = changed[:start] + value + changed[end:]
    try:
        after = parse_config(changed)
    except ConfigurationError:
        after = None
    if after != _wanted(before, ends_ns):
        name, end_ns = next(iter(ends_ns.items()))
        raise _refused(name, end_ns)
    return changed


def difference(before: str, after: str, name: str) -> list[str]:
    """What changes, as a unified diff with one line around it."""
    return list(difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, n=1, lineterm=""))


def write_keeping_former(path: Path, before: str, after: str) -> Path:
    """Put a text into a file in one step; a copy of the former one lies beside it. Where that is.

    Raises:
        Refused: the file has changed since it was read, or it cannot be written.
    """
    file = path.resolve()
    try:
        if file.read_text(encoding="utf-8") != before:
            raise Refused("it has changed since it was read", where=str(path), next_step="run the same command again")
        former = file.with_name(f"{file.name}.{time.strftime('%Y%m%dT%H%M%S')}.bak")
        shutil.copy2(file, former)
        fresh = file.with_name(f"{file.name}.{os.getpid()}.tmp")
        shutil.copy2(file, fresh)
        fresh.write_text(after, encoding="utf-8")
        fresh.replace(file)
    except OSError as error:
        raise Refused(
            f"its end_time cannot be changed here: {error.strerror or error}",
            where=str(path),
            next_step="write it where the file comes from, and run the same command again",
        ) from None
    return former


def _wanted(config: MigrationConfig, ends_ns: Mapping[str, int]) -> MigrationConfig:
    jobs = tuple(
        job.model_copy(update={"end_time": ends_ns[job.job_name]}) if job.job_name in ends_ns else job
        for job in config.migration_jobs
    )
    return config.model_copy(update={"migration_jobs": jobs})


def _end_time(text: str, job_name: str) -> yaml.ScalarNode | None:
    """Where the job's own end_time stands; None where it has none of its own."""
    jobs = _value(yaml.compose(text, Loader=yaml.SafeLoader), "migration_jobs")
    for job in jobs.value if isinstance(jobs, yaml.SequenceNode) else ():
        name, end = _value(job, "job_name"), _value(job, "end_time")
        if isinstance(name, yaml.ScalarNode) and name.value == job_name and isinstance(end, yaml.ScalarNode):
            return end
    return None


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if isinstance(name, yaml.ScalarNode) and name.value == key), None)


def _refused(name: str, end_ns: int) -> Refused:
    return Refused(
        "its end_time cannot be changed alone: it comes from an anchor or a merge key",
        where=f"job {name!r}",
        next_step=f"write `end_time: {iso(end_ns)}` there and run the same command again",
    )
