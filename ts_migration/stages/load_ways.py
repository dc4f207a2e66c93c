"""The ways into a bucket, behind one interface: how rows become files, how files are loaded, and how files are read.

Line protocol, which the server parses, is the default and the reference; shard files are restored as they are. What a
window has to be before and after is the same for both (`convert`, `load`); nothing else asks which way it is.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import polars as pl

from ts_migration.config import MigrationJob
from ts_migration.influxdb.blocks import Block
from ts_migration.influxdb.bodies import Delivered
from ts_migration.influxdb.buckets import BucketInfo
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.ledger import Ledger
from ts_migration.influxdb.retries import RetryPolicy
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.line_protocol.rewrites import Said
from ts_migration.manifests import LineProtocolManifest, LoadName, Part
from ts_migration.objects import ExportBucket, WindowPlace
from ts_migration.stages.conversion_digest import Sums
from ts_migration.windows import Window


class FilesWriter(Protocol):
    """Writes the files of one conversion; a context manager."""

    parts: list[Part]
    text_bytes: int

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def form(self, frame: pl.DataFrame, mapping: Mapping) -> Any:
        """The form in which `take` has rows."""

    def divided(self, accepted: pl.DataFrame) -> Iterable[tuple[int, pl.DataFrame]]:
        """Rows cut into the portions whose digests the writer wants to know."""

    def take(self, said: Said[Any], sums: "Future[dict[int, Sums]]") -> None:
        """Take rows in; `sums` are those of their portions."""

    def finish(self) -> bytes | None:
        """Write what is waiting; the bytes of the index, which the caller puts. None: the manifest tells enough."""

    def await_sent(self) -> None:
        """Return when every file is in the export bucket."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a load sent: bytes and requests, of them repeats, and the most that were in flight at a time."""

    bytes: int
    requests: int
    retries: int
    connections: int


@dataclass(frozen=True)
class Load:
    """One converted window on its way into a bucket."""

    job: MigrationJob
    place: WindowPlace
    window: Window
    converted: LineProtocolManifest
    bucket: ExportBucket
    target: Target
    info: BucketInfo
    policy: RetryPolicy


class Shipment(Protocol):
    """The members of a window, ready to be sent."""

    lines: Sequence[int]
    """Of each member."""
    keeps_each: bool
    """Whether each member is so long that its acknowledgement is kept at once."""

    @property
    def sent_bytes(self) -> int:
        """Of the requests that were acknowledged so far."""

    def send(
        self, numbers: Sequence[int], ledger: Ledger, on_delivered: Callable[[Delivered], None], *, held: bool
    ) -> Sent:
        """Send some members; `on_delivered` is called for each as soon as it is durable, one call at a time.

        `held` is whether the window holds points already, which those of the members are to take the place of.

        Raises:
            MigrationError: see `influxdb.writer`, `influxdb.restorer`.
        """


class LoadWay(Protocol):
    """One way into a bucket."""

    name: LoadName
    index_name: str
    """Last part of the key of the files' index."""
    files: str
    """What people call them."""

    def settings(self, job: MigrationJob) -> tuple[object, ...]:
        """What files depend on beside mapping and export."""

    def folder(self, place: WindowPlace) -> str:
        """Prefix of a window's files."""

    def writer(self, job: MigrationJob, place: WindowPlace, window: Window, bucket: ExportBucket) -> FilesWriter:
        """Writes the files of a window."""

    def ensure_bucket(self, job: MigrationJob, bucket: ExportBucket, target: Target) -> BucketInfo:
        """The target bucket; made unless it is there.

        Raises:
            Refused: it is there, and this way cannot load into it.
            Permanent: the token may not make it.
        """

    def shipment(self, load: Load) -> Shipment:
        """What is to be sent.

        Raises:
            Missing: the files or their index are gone.
            Spoiled: the index is not that of the manifest.
        """

    def spoiled(self, bucket: ExportBucket, converted: LineProtocolManifest) -> tuple[str, ...]:
        """URIs of files that are not what the conversion wrote; those that are gone are not among them."""

    def blocks_at(self, bucket: ExportBucket, converted: LineProtocolManifest, times: Iterable[int]) -> Iterator[Block]:
        """Points that the files hold at these times, ns.

        Raises:
            Missing: they are gone.
            Spoiled: one is not what was written.
        """
