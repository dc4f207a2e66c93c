"""The manifests of a migration as files: the embedded S3 keeps every object as a file of its own."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from ts_migration_tests.embedded_stack import EmbeddedStack

STAGES = ("export", "line_protocol", "load", "verdicts")


class Objects:
    """The objects of one table, read from disk."""

    def __init__(self, stack: EmbeddedStack, table: str) -> None:
        self.folder = stack.folder
        bucket = stack.folder / ".ts_migration" / "local" / "s3" / stack.variables["S3_EXPORT_BUCKET"]
        self.proof = bucket / "manifests" / table
        self.bulk = bucket / "timestream-export" / table
        self.all = bucket

    @property
    def windows(self) -> list[str]:
        """Keys of windows that have a manifest."""
        return sorted(path.name for path in self.proof.iterdir() if path.is_dir()) if self.proof.is_dir() else []

    def path(self, window: str, stage: str) -> Path:
        """Where a stage's manifest lies."""
        return self.proof / window / f"{stage}.json"

    def has(self, window: str, stage: str) -> bool:
        """Whether a stage of a window is done."""
        return self.path(window, stage).is_file()

    def read(self, window: str, stage: str) -> dict[str, Any]:
        """A stage's manifest."""
        return json.loads(self.path(window, stage).read_bytes())

    def migrated(self) -> dict[str, Any]:
        """The roll-up of the table."""
        return json.loads((self.proof / "migrated.json").read_bytes())

    def statuses(self) -> dict[str, str]:
        """Window -> what its checks came to."""
        return {key: self.read(key, "verdicts")["status"] for key in self.windows if self.has(key, "verdicts")}

    def finished(self) -> dict[str, dict[str, bytes]]:
        """Manifests, to the byte, of windows that are proven."""
        return {
            key: {stage: self.path(key, stage).read_bytes() for stage in STAGES}
            for key, status in self.statuses().items()
            if status == "proven"
        }

    def seconds(self) -> dict[str, float]:
        """Stage -> seconds that its work took, over all windows."""
        total: dict[str, float] = defaultdict(float)
        for key in self.windows:
            for stage in STAGES:
                total[stage] += self.read(key, stage)["seconds"]
        return dict(total)
