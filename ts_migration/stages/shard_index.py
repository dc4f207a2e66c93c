"""The index of a window's shard files: what each holds, to be compared with the file before it is sent.

What a file looks like is in `influxdb.tsm`; who writes them, in `shard_files`.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
from isal import isal_zlib
from pydantic import BaseModel, ConfigDict

from ts_migration.errors import Spoiled
from ts_migration.influxdb.shard_batches import batches_of
from ts_migration.influxdb.tsm.columns import TsmColumn, TsmDamaged
from ts_migration.influxdb.tsm.reader import read_stretches
from ts_migration.manifests import DamagedManifest, LineProtocolManifest, Manifest, read_manifest
from ts_migration.objects import ExportBucket
from ts_migration.validation.digest import PointDigest
from ts_migration.windows import Window

INDEX_NAME = "files.json"
FILES_A_WINDOW = 10_000
"""What the names of files in a server's shards can tell apart: see `bulk_way`."""
_AGAIN = "run the conversion of this window again"


class ShardFile(BaseModel):
    """One shard file.

    Attributes:
        key: of the object.
        bytes, crc32: of the object.
        start_ns, end_ns: the shard group that it is for, half-open.
        points: rows that it was made of.
        values, lanes: of the digest of those rows, taken from the export and not from the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    bytes: int
    crc32: int
    start_ns: int
    end_ns: int
    points: int
    values: int
    lanes: tuple[int, int]


class ShardIndex(Manifest):
    """All shard files of a window, in their order: of two values of a point the later file's stays."""

    stage: Literal["shard_index"] = "shard_index"
    shard_group_s: int
    files: tuple[ShardFile, ...]


def read_shard_index(bucket: ExportBucket, converted: LineProtocolManifest) -> ShardIndex | None:
    """The index of a converted window; None where it is gone.

    Raises:
        Spoiled: it is damaged, or is not that of the manifest's parts.
        Permanent: it was written by a newer version.
    """
    try:
        found = read_manifest(ShardIndex, bucket, converted.members_key)
    except DamagedManifest as error:
        raise Spoiled(error.what, where=error.where, next_step=_AGAIN) from error
    if found is None:
        return None
    told = [(file.key, file.bytes, file.crc32, file.points) for file in found.files]
    if told != [(part.key, part.bytes, part.crc32, part.lines) for part in converted.parts]:
        raise Spoiled(
            "the index names other shard files than the manifest",
            where=bucket.uri(converted.members_key),
            next_step=_AGAIN,
        )
    return found


def require_as_exported(body: bytes, file: ShardFile, window: Window, where: str) -> None:
    """Decode a shard file and compare it with its record: a server takes a broken one and hides good points by it.

    Args:
        body: the object's bytes.
        file: its record.
        window: whose points it holds.
        where: of the object, for the errors.

    Raises:
        Spoiled: it is not what was written, cannot be decoded, holds points outside its shard or window, or other
            points than those that were exported.
    """
    if len(body) != file.bytes or isal_zlib.crc32(body) != file.crc32:
        raise Spoiled(
            f"the shard file is not what was written: {len(body):,} bytes of {file.bytes:,}, CRC-32 "
            f"{isal_zlib.crc32(body):08x} instead of {file.crc32:08x}",
            where=where,
            next_step=_AGAIN,
        )
    inside = Window(max(file.start_ns, window.start_ns), min(file.end_ns, window.end_ns), window.key)
    digest = PointDigest(window.start_ns, window.end_ns)
    try:
        for batch in batches_of(_inside(read_stretches(body), inside, where)):
            digest.add_batch(batch)
    except TsmDamaged as error:
        raise Spoiled(f"{error.what} ({error.where})", where=where, next_step=_AGAIN) from error
    values = sum(digest.counts.values())
    if (digest.lanes, values) != (file.lanes, file.values):
        raise Spoiled(
            f"the shard file holds {values:,} values and not the {file.values:,} of the export, or other ones",
            where=where,
            next_step=_AGAIN,
        )


def _inside(columns: Iterable[TsmColumn], inside: Window, where: str) -> Iterator[TsmColumn]:
    """The same columns, none of them with a time outside."""
    for column in columns:
        outside = int(np.count_nonzero((column.times < inside.start_ns) | (column.times >= inside.end_ns)))
        if outside:
            raise Spoiled(
                f"the shard file holds {outside:,} values outside of its shard and window, {inside}",
                where=where,
                next_step=_AGAIN,
            )
        yield column


def parts_to_read(files: Iterable[ShardFile], times: Iterable[int]) -> Iterator[ShardFile]:
    """The files whose shards hold any of these times."""
    wanted = sorted(set(times))
    for file in files:
        at = int(np.searchsorted(wanted, file.start_ns))
        if at < len(wanted) and wanted[at] < file.end_ns:
            yield file
