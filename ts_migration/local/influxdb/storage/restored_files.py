"""Segments that are files somebody restored: their names tell shard group and file, and so which comes after which."""

from collections.abc import Sequence
from pathlib import Path

from ts_migration.local.influxdb.storage.segments import Segment
from ts_migration.local.influxdb.storage.shard_groups import ShardGroup


def tag_for(group: ShardGroup, name: str) -> str:
    """What the name of a segment ends in that is a restored file's."""
    return f"@{group.start}@{name}"


def tag_of(path: Path) -> str:
    """The tag of a segment, "" where it is no restored file's."""
    _, at, rest = path.name.removesuffix(".arrow").partition("@")
    return at + rest


def with_file(segments: Sequence[Segment], fresh: Sequence[Segment], tag: str) -> tuple[list[Segment], list[Segment]]:
    """The segments with those of a file among them, and those of the file of its name, in whose place they are.

    A file without a namesake comes before those of its shard group with later names, else last.
    """
    old = [segment for segment in segments if tag_of(segment.path) == tag]
    later = (at for at, one in enumerate(segments) if one in old or _is_later(tag_of(one.path), tag))
    at = next(later, len(segments))
    return [*segments[:at], *fresh, *(segment for segment in segments[at:] if segment not in old)], old


def _is_later(tag: str, than: str) -> bool:
    """Whether a restored file of the same shard group comes after another."""
    return tag.rpartition("@")[0] == than.rpartition("@")[0] and tag > than
