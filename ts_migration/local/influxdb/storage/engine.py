"""All buckets' points under one directory: opened when first used, dropped with their bucket."""

import shutil
import threading
from pathlib import Path

from ts_migration.local.influxdb.storage.bucket import Bucket
from ts_migration.local.influxdb.storage.shard_numbers import ShardNumbers


class Engine:
    """Buckets by id. Thread-safe."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._open: dict[str, Bucket] = {}
        directory.mkdir(parents=True, exist_ok=True)
        self.shards = ShardNumbers(directory / "shards.json")
        """Ids by which backups and restores name shard groups."""

    def bucket(self, bucket_id: str) -> Bucket:
        """The points of a bucket, an empty one if it has none yet."""
        with self._lock:
            found = self._open.get(bucket_id)
            if found is None:
                found = self._open[bucket_id] = Bucket(self._directory / bucket_id)
            return found

    def used(self, bucket_id: str) -> bool:
        """Whether anything was ever asked of or written to a bucket."""
        return (self._directory / bucket_id).exists()

    def drop(self, bucket_id: str) -> None:
        """Delete a bucket's points for good."""
        with self._lock:
            found = self._open.pop(bucket_id, None)
        if found is not None:
            found.close()
        shutil.rmtree(self._directory / bucket_id, ignore_errors=True)

    def opened(self) -> dict[str, Bucket]:
        """The buckets that are open now."""
        with self._lock:
            return dict(self._open)

    def close(self) -> None:
        """Close every bucket."""
        for bucket in self.opened().values():
            bucket.close()
