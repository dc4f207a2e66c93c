"""Writing of shard files into the export bucket, in bounded memory: one file a batch of rows and shard group.

What a file holds is made in `influxdb.shard_rows`, its bytes in `influxdb.tsm`; what is kept of it, in `shard_index`.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import polars as pl
from isal import isal_zlib

from ts_migration.errors import Permanent
from ts_migration.influxdb.shard_groups import ShardGroup, groups_of
from ts_migration.influxdb.shard_rows import ShardRows, tsm_columns, within
from ts_migration.influxdb.tsm.writer import tsm_file
from ts_migration.line_protocol.accepted_rows import AcceptedRows, accept
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.line_protocol.rewrites import Said
from ts_migration.manifests import Part
from ts_migration.objects import ExportBucket
from ts_migration.stages.conversion_digest import Sums
from ts_migration.stages.shard_index import FILES_A_WINDOW, ShardFile, ShardIndex
from ts_migration.windows import Window, iso

BATCH_ROWS = 1_000_000
"""Rows that wait at most, over all shard groups: the more, the longer the blocks of each series."""
BATCH_BYTES = 96 * 1024 * 1024
"""And about so many bytes; what becomes of them takes several times as much."""


@dataclass
class _Waiting:
    """Rows of one shard group that are in no file yet, and the sums of their digests."""

    rows: list[ShardRows] = field(default_factory=list)
    sums: list[Future[dict[int, Sums]]] = field(default_factory=list)

    @property
    def points(self) -> int:
        return sum(map(len, self.rows))

    @property
    def bytes(self) -> int:
        return sum(int(part.values.estimated_size()) + part.series.nbytes for part in self.rows)


@dataclass
class ShardsWriter:
    """Writes rows as shard files under a prefix: `<start of the group>/00000.tsm`, …, and `files.json` at the end.

    Args:
        bucket: the export bucket.
        prefix: folder of the window's files, ending in a slash.
        window: whose rows come.
        shard_group_s: of the target bucket.

    Attributes:
        parts, files: those written so far.
        text_bytes: bytes of those files.
    """

    bucket: ExportBucket
    prefix: str
    window: Window
    shard_group_s: int
    batch_rows: int = BATCH_ROWS
    batch_bytes: int = BATCH_BYTES
    parts: list[Part] = field(default_factory=list)
    files: list[ShardFile] = field(default_factory=list)
    text_bytes: int = 0

    def __post_init__(self) -> None:
        self._groups = tuple(groups_of(self.window, self.shard_group_s))
        self._waiting: dict[int, _Waiting] = {}
        self._number = 0
        # One thread each: a file is made while rows are read, and sent while the next is made.
        self._maker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tsm")
        self._sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="upload")
        self._made: Future[None] | None = None
        self._sent: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._maker.shutdown(wait=True, cancel_futures=True)
        self._sender.shutdown(wait=True, cancel_futures=True)

    def form(self, frame: pl.DataFrame, mapping: Mapping) -> AcceptedRows:
        """The form in which `take` has rows."""
        return accept(frame, mapping)

    def divided(self, accepted: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
        """Rows by the shard group that they fall into."""
        touched = list(self._touched(accepted))
        for number in touched:
            yield number, accepted if len(touched) == 1 else accepted.filter(_inside(self._groups[number]))

    def take(self, said: Said[AcceptedRows], sums: "Future[dict[int, Sums]]") -> None:
        """Take rows in; `sums` are of the same rows, by shard group."""
        told: set[int] = set()
        for batch in said.batches:
            touched = list(self._touched(batch.rows))
            for number in touched:
                whole = len(touched) == 1
                rows = ShardRows.of(batch, None if whole else _inside(self._groups[number]))
                if len(rows):
                    self._waiting.setdefault(number, _Waiting()).rows.append(rows)
                    told.add(number)
        for number in told:
            self._waiting[number].sums.append(sums)
        while self._is_full():
            self._write(max(self._waiting, key=lambda number: self._waiting[number].points))

    def finish(self) -> bytes:
        """Write what is waiting; the bytes of the index, which the caller puts. The last file may be on its way."""
        for number in sorted(self._waiting):
            self._write(number)
        if self._made is not None:
            self._made.result()
        return ShardIndex(shard_group_s=self.shard_group_s, files=tuple(self.files)).to_bytes()

    def await_sent(self) -> None:
        """Return when every file is in the bucket.

        Raises:
            MigrationError: the last one could not be sent.
        """
        if self._sent is not None:
            self._sent.result()

    def _touched(self, rows: pl.DataFrame) -> Iterator[int]:
        """Numbers of the groups that rows fall into."""
        if rows.is_empty():
            return
        if len(self._groups) == 1:
            yield 0
            return
        first, last = rows.select(pl.col("time_ns").min().alias("a"), pl.col("time_ns").max().alias("b")).row(0)
        for number, group in enumerate(self._groups):
            if group.start_ns <= last and first < group.end_ns:
                yield number

    def _is_full(self) -> bool:
        waiting = self._waiting.values()
        rows = sum(each.points for each in waiting)
        return rows >= self.batch_rows or (rows > 0 and sum(each.bytes for each in waiting) >= self.batch_bytes)

    def _write(self, number: int) -> None:
        """Have a group's waiting rows made a file, once the one before is made."""
        waiting = self._waiting.pop(number)
        if not waiting.points:
            return
        if self._made is not None:
            self._made.result()
        if self._number == FILES_A_WINDOW:
            raise Permanent(
                f"the window would become more than {FILES_A_WINDOW:,} shard files",
                where=f"window {self.window}",
                allowed=f"{FILES_A_WINDOW:,} of a window",
                next_step="choose a shorter window, a longer shard_group_duration, or load: line_protocol",
            )
        key = f"{self.prefix}{iso(self._groups[number].start_ns).replace(':', '')}/{self._number:05d}.tsm"
        self._number += 1
        self._made = self._maker.submit(self._make, key, self._groups[number], waiting, number)

    def _make(self, key: str, group: ShardGroup, waiting: _Waiting, number: int) -> None:
        body = b"".join(tsm_file(tsm_columns(waiting.rows)))
        sums = Sums.of(future.result().get(number, Sums()) for future in waiting.sums)
        times = [part.values["time_ns"] for part in waiting.rows]
        crc32 = isal_zlib.crc32(body)
        self.parts.append(
            Part(
                key=key,
                bytes=len(body),
                members=1,
                lines=waiting.points,
                crc32=crc32,
                first_ns=min(int(each.min()) for each in times),  # type: ignore[arg-type]
                last_ns=max(int(each.max()) for each in times),  # type: ignore[arg-type]
            )
        )
        self.files.append(
            ShardFile(
                key=key,
                bytes=len(body),
                crc32=crc32,
                start_ns=group.start_ns,
                end_ns=group.end_ns,
                points=waiting.points,
                values=sums.values,
                lanes=sums.lanes,
            )
        )
        self.text_bytes += len(body)
        if self._sent is not None:
            self._sent.result()
        self._sent = self._sender.submit(self.bucket.put, key, body)


def _inside(group: ShardGroup) -> pl.Expr:
    return within(group.start_ns, group.end_ns)
