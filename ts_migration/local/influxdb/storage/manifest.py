"""Which files make up a bucket: segments, first log to replay, shard groups, pinned types. Replaced as a whole."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from ts_migration.local.influxdb.points import FieldType
from ts_migration.local.influxdb.storage.shard_groups import ShardGroup
from ts_migration.local.influxdb.storage.wal import sync_directory

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """The state of a bucket's directory; segments oldest first."""

    segments: list[str] = field(default_factory=list)
    first_log: int = 1
    next_file: int = 1
    groups: list[ShardGroup] = field(default_factory=list)
    types: list[tuple[int, str, str, FieldType]] = field(default_factory=list)


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a directory, an empty one for a new bucket."""
    path = directory / "manifest.json"
    if not path.exists():
        return Manifest()
    content = json.loads(path.read_text("ascii"))
    if content["format"] != _FORMAT:
        raise ValueError(
            f"{path} has format {content['format']}, this version reads {_FORMAT}: use a new --data folder"
        )
    return Manifest(
        segments=content["segments"],
        first_log=content["first_log"],
        next_file=content["next_file"],
        groups=[ShardGroup(*group) for group in content["groups"]],
        types=[(shard, measurement, name, FieldType(type_)) for shard, measurement, name, type_ in content["types"]],
    )


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Replace the manifest; durable on return."""
    content = {
        "format": _FORMAT,
        "segments": manifest.segments,
        "first_log": manifest.first_log,
        "next_file": manifest.next_file,
        "groups": [[group.start, group.end] for group in manifest.groups],
        "types": manifest.types,
    }
    replace_file(directory / "manifest.json", json.dumps(content).encode("ascii"))


def replace_file(path: Path, content: bytes) -> None:
    """Write a file under another name, make it durable, and put it in place. Its owner alone may read it: tokens."""
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_directory(path.parent)
