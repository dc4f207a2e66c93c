"""Ids of shards: a number for each shard group of each bucket, handed out once and kept in one JSON file."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path

from ts_migration.local.influxdb.storage.manifest import replace_file
from ts_migration.local.influxdb.storage.shard_groups import ShardGroup


class ShardNumbers:
    """Numbers of shard groups. Thread-safe; on disk on return."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        found = json.loads(path.read_text("ascii")) if path.exists() else []
        self._shards: dict[int, tuple[str, ShardGroup]] = {}
        for number, bucket, start, end in found:
            self._shards[number] = (bucket, ShardGroup(start, end))

    def numbers_of(self, bucket_id: str, groups: Sequence[ShardGroup]) -> dict[ShardGroup, int]:
        """The number of each group, a new one if it has none; one write, for a bucket may have tens of thousands."""
        with self._lock:
            known = {group: number for number, (bucket, group) in self._shards.items() if bucket == bucket_id}
            new = [group for group in dict.fromkeys(groups) if group not in known]
            for number, group in enumerate(new, max(self._shards, default=0) + 1):
                self._shards[number] = (bucket_id, group)
                known[group] = number
            if new:
                content = [[n, bucket, group.start, group.end] for n, (bucket, group) in self._shards.items()]
                replace_file(self._path, json.dumps(content).encode("ascii"))
            return {group: known[group] for group in groups}

    def find(self, number: int) -> tuple[str, ShardGroup] | None:
        """Bucket and group of a number, None where it was never handed out."""
        with self._lock:
            return self._shards.get(number)
