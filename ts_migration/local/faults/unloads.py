"""UNLOADs that end as if all were well and have written too little: a bucket that spoils one file, or the manifest.

Which UNLOAD is hit is decided in `active`; what a sound one writes, in `local.timestream.unload`.
"""

import threading
from pathlib import Path
from typing import Any

from ts_migration.local.faults.active import ActiveFaults
from ts_migration.local.faults.rules import UNLOAD_KINDS, FaultKind
from ts_migration.local.timestream.unload import UnloadStore

_MANIFEST = "_manifest.json"


def spoiled_store(store: UnloadStore, statement: str, faults: ActiveFaults) -> UnloadStore:
    """Where an UNLOAD writes: its bucket, or one that spoils what a rule says.

    Args:
        store: the bucket.
        statement: text of the UNLOAD, matched as requests are: `Query UNLOAD (SELECT …`.
        faults: the rules in force.
    """
    rule = faults.hit(f"Query {statement.strip()}", UNLOAD_KINDS)
    return SpoilingStore(store, rule.kind) if rule else store


class SpoilingStore:
    """A bucket for one UNLOAD: it spoils the first file that it is given, or keeps the manifest to itself."""

    def __init__(self, store: UnloadStore, kind: FaultKind) -> None:
        self._store = store
        self._kind = kind
        self._lock = threading.Lock()
        self._spoiled = False
        self._sizes: dict[str, int] = {}

    def put_file(self, path: Path, bucket: str, key: str, encryption: dict[str, str]) -> None:
        """Store a file; the first one spoiled."""
        if self._kind is not FaultKind.UNLOAD_NO_MANIFEST and self._is_first():
            if self._kind is FaultKind.UNLOAD_MISSING_FILE:
                return
            size = path.stat().st_size
            kept = size - 1 if self._kind is FaultKind.UNLOAD_WRONG_SIZE else size // 2
            with path.open("r+b") as file:
                file.truncate(kept)
            if self._kind is FaultKind.UNLOAD_TRUNCATED_FILE:
                self._sizes[f"s3://{bucket}/{key}"] = kept
        self._store.put_file(path, bucket, key, encryption)

    def put_json(self, document: dict[str, Any], bucket: str, key: str, encryption: dict[str, str]) -> None:
        """Store metadata and manifest; the manifest gives the size of a truncated file as it is, or is left out."""
        if key.endswith(_MANIFEST):
            if self._kind is FaultKind.UNLOAD_NO_MANIFEST:
                return
            document = self._with_sizes(document)
        self._store.put_json(document, bucket, key, encryption)

    def _is_first(self) -> bool:
        with self._lock:
            first, self._spoiled = not self._spoiled, True
            return first

    def _with_sizes(self, document: dict[str, Any]) -> dict[str, Any]:
        files = [
            file
            | {
                "file_metadata": file["file_metadata"]
                | ({"content_length_in_bytes": self._sizes[file["url"]]} if file["url"] in self._sizes else {})
            }
            for file in document["result_files"]
        ]
        total = sum(file["file_metadata"]["content_length_in_bytes"] for file in files)
        totals = document["query_metadata"] | {"total_content_length_in_bytes": total}
        return document | {"result_files": files, "query_metadata": totals}
