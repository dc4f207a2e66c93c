"""The export bucket as the holder of a window's lease sees it: what lies under the window's proof is asked for once.

While a run holds the lease nobody else writes there, so what it has read or written still is what is there. Of other
objects only the window's line protocol is remembered, its index and its small parts, and the table's frozen mapping: it
never changes but by a reset, which refuses while a window is leased. Nothing is remembered beyond the lease.
"""

import io
from collections.abc import Callable
from typing import IO, Any

from ts_migration.errors import Missing
from ts_migration.objects import ExportBucket, ObjectInfo, TablePlace, WindowPlace

_REMEMBERED = ".json"
"""Manifests are kept; what else lies beside them is read once anyway."""

_SMALL_PART = 256 * 1024
"""Bytes of a part that the load need not ask for again; members are checked against their CRC either way."""


class LeasedBucket(ExportBucket):
    """The export bucket, for one window while its lease is held. Threads may share it.

    The stages of a run read each manifest several times, and look for some that are not there: half of the requests
    of a small window.
    """

    def __init__(self, bucket: ExportBucket, place: WindowPlace, require: Callable[[], None] = lambda: None) -> None:
        """`require` refuses (Transient) where the lease is lost: it is asked before anything is written or deleted."""
        super().__init__(bucket.client, bucket.name)
        self._place = place
        self._require = require
        self._table_manifest = TablePlace(place.table).table_manifest
        self._bodies: dict[str, bytes] = {}
        self._parts: dict[str, bytes] = {}
        self._there: set[str] | None = None
        """Keys under the proof, once they were listed: those of a new window are mostly looked for in vain."""

    def get(self, key: str) -> bytes:
        """As `ExportBucket.get`; a manifest of the window is read once, and none is looked for in vain twice."""
        if key in self._bodies:
            return self._bodies[key]
        if self._own(key) and key not in self._look():
            raise Missing("NoSuchKey: there is no such object", where=self.uri(key))
        body = super().get(key)
        self._remember(key, body)
        return body

    def put(self, key: str, body: bytes, content_type: str = "application/octet-stream") -> None:
        """As `ExportBucket.put`."""
        self._before_write(key)
        super().put(key, body, content_type)
        self._remember(key, body)

    def upload(self, key: str, source: IO[bytes]) -> None:
        """As `ExportBucket.upload`."""
        self._before_write(key)
        start = source.tell()
        small = source.read(_SMALL_PART + 1) if key.startswith(self._place.line_protocol) else None
        source.seek(start)
        super().upload(key, source)
        if small is not None and len(small) <= _SMALL_PART:
            self._parts[key] = small

    def open(self, key: str, offset: int = 0, length: int | None = None) -> Any:
        """As `ExportBucket.open`; a small part that the run wrote is not asked for."""
        if (part := self._parts.get(key)) is not None:
            return io.BytesIO(part[offset:] if length is None else part[offset : offset + length])
        return super().open(key, offset, length)

    def delete(self, key: str) -> None:
        """As `ExportBucket.delete`; what is known not to be there is not asked for."""
        if self._own(key) and key not in self._look():
            return
        self._require()
        self._bodies.pop(key, None)
        self._parts.pop(key, None)
        super().delete(key)
        if self._there is not None:
            self._there.discard(key)

    def _own(self, key: str) -> bool:
        """Whether the lease keeps others off the key. The lease itself is written past this object."""
        return key.startswith(self._place.proof) and key != self._place.lease

    def _remember(self, key: str, body: bytes) -> None:
        own = self._own(key) or key.startswith(self._place.line_protocol)
        if key == self._table_manifest or (own and key.endswith(_REMEMBERED)):
            self._bodies[key] = body

    def _look(self) -> set[str]:
        if self._there is None:
            found: list[ObjectInfo] = list(self.list(self._place.proof))
            self._there = {each.key for each in found}
        return self._there

    def _before_write(self, key: str) -> None:
        """Whatever comes of a write: the old body counts for nothing, and the object may be there."""
        self._require()
        self._bodies.pop(key, None)
        self._parts.pop(key, None)
        if self._there is not None and self._own(key):
            self._there.add(key)
