"""Into a bucket by line protocol: gzip members in parts, posted as they are. See `load_ways`."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future

import polars as pl

from ts_migration.config import MigrationJob
from ts_migration.errors import Missing, Permanent, Spoiled, Transient
from ts_migration.influxdb.blocks import Block
from ts_migration.influxdb.bodies import Body, Delivered
from ts_migration.influxdb.buckets import BucketInfo, ensure
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.ledger import Ledger
from ts_migration.influxdb.retries import RetryPolicy
from ts_migration.influxdb.write_requests import WriteRequests
from ts_migration.influxdb.writer import Writer
from ts_migration.line_protocol.encoder import Encoded, encode
from ts_migration.line_protocol.files import INDEX_NAME, PartsWriter, check_part, members_of, read_members
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.line_protocol.members import Member
from ts_migration.line_protocol.rewrites import Said
from ts_migration.manifests import LineProtocolManifest, LoadName
from ts_migration.objects import ExportBucket, WindowPlace
from ts_migration.stages.conversion_digest import Sums
from ts_migration.stages.load_ways import FilesWriter, Load, Sent, Shipment
from ts_migration.stages.written_lines import lines_at
from ts_migration.validation.refused_lines import refused_blocks
from ts_migration.windows import Window


class LineProtocolWay:
    """See `load_ways.LoadWay`."""

    name: LoadName = "line_protocol"
    index_name = INDEX_NAME
    files = "line protocol"

    def settings(self, job: MigrationJob) -> tuple[object, ...]:
        """How members are compressed, not how they are cut: a load cuts those that are larger than batch_size."""
        return (job.gzip_level,)

    def folder(self, place: WindowPlace) -> str:
        """Of the parts."""
        return place.line_protocol

    def writer(self, job: MigrationJob, place: WindowPlace, window: Window, bucket: ExportBucket) -> FilesWriter:
        """Of parts."""
        return _LinesWriter(bucket, self.folder(place), job.batch_size, job.gzip_level)

    def ensure_bucket(self, job: MigrationJob, bucket: ExportBucket, target: Target) -> BucketInfo:
        """Any bucket of the name will do."""
        return ensure(target, job.target_bucket, job.shard_group_duration)

    def shipment(self, load: Load) -> Shipment:
        """The members."""
        converted, bucket = load.converted, load.bucket
        members = members_of(bucket, converted) if converted.points else ()
        lines = sum(member.lines for member in members)
        if lines != converted.points:
            raise Spoiled(
                f"the index tells {lines:,} lines, the manifest {converted.points:,} points",
                where=bucket.uri(converted.members_key) if converted.members_key else f"window {converted.window.key}",
                next_step="run the conversion of this window again",
            )
        return _Members(load, members)

    def spoiled(self, bucket: ExportBucket, converted: LineProtocolManifest) -> tuple[str, ...]:
        """Parts, by their index, CRCs and line ends."""
        spoiled = []
        try:
            members = members_of(bucket, converted)
        except Missing:
            return ()
        except Permanent:
            return tuple(bucket.uri(part.key) for part in converted.parts)
        for part in converted.parts:
            try:
                check_part(bucket, part, members)
            except Missing:
                continue
            except Permanent:
                spoiled.append(bucket.uri(part.key))
        return tuple(spoiled)

    def blocks_at(self, bucket: ExportBucket, converted: LineProtocolManifest, times: Iterable[int]) -> Iterator[Block]:
        """Lines of members that may hold the times."""
        for line in lines_at(bucket, converted, times):
            yield from refused_blocks([line.decode("utf-8", "surrogateescape")])


class _LinesWriter(PartsWriter):
    """Parts, from rows as they are said."""

    def form(self, frame: pl.DataFrame, mapping: Mapping) -> Encoded:
        return encode(frame, mapping)

    def divided(self, accepted: pl.DataFrame) -> Iterable[tuple[int, pl.DataFrame]]:
        return ((0, accepted),)

    def take(self, said: Said[Encoded], sums: "Future[dict[int, Sums]]") -> None:
        for encoded in said.batches:
            self.add(encoded)


class _Members:
    """Members on their way."""

    keeps_each = False

    def __init__(self, load: Load, members: Sequence[Member]) -> None:
        self.load = load
        self.members = members
        self.lines: Sequence[int] = [member.lines for member in members]
        self.requests: WriteRequests | None = None

    @property
    def sent_bytes(self) -> int:
        return self.requests.counts.bytes if self.requests else 0

    def send(
        self, numbers: Sequence[int], ledger: Ledger, on_delivered: Callable[[Delivered], None], *, held: bool
    ) -> Sent:
        """A member with more lines than the job's batch_size now says is sent by several requests."""
        job, policy = self.load.job, self.load.policy
        requests = self.requests = WriteRequests(
            self.load.target,
            job.target_bucket,
            job.write_connections,
            policy,
            batch_lines=job.batch_size,
            compressed=job.compression is not None,
        )
        waiting = [(number, self.members[number]) for number in numbers]
        Writer(requests).write(_bodies(self.load.bucket, waiting, policy), on_delivered)
        counts = requests.counts
        return Sent(counts.bytes, counts.requests, counts.retries, requests.level.highest)


def _bodies(bucket: ExportBucket, waiting: Sequence[tuple[int, Member]], policy: RetryPolicy) -> Iterator[Body]:
    """Members as they lie in their parts; a stream from S3 that breaks is begun again where it broke."""
    position, failures = 0, 0
    while position < len(waiting):
        rest = waiting[position:]
        try:
            for (number, wanted), (member, content) in zip(
                rest, read_members(bucket, [member for _, member in rest]), strict=True
            ):
                if member != wanted:
                    raise Spoiled("members.json is not in the order of its parts", where=bucket.uri(member.part))
                yield Body(number, content, member.lines, member.text_bytes)
                position, failures = position + 1, 0
        except Transient:
            failures += 1
            if failures > policy.attempts:
                raise
            time.sleep(min(policy.base_s, 5.0))
