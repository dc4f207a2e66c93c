"""One range of a bucket taken back to what it held before a job wrote to it: what to keep, the delete, and its proof.

What the job wrote is what its export says. All else is somebody's: values that were there before (their copies) and
values that came since, which are saved here. Which ranges are taken back, in which order, is for `operations.rollback`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from ts_migration.errors import MigrationError, Missing, Permanent, Refused
from ts_migration.influxdb import reader
from ts_migration.influxdb.blocks import Block, BlockColumn, SeriesBatch
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.deletion import delete_points
from ts_migration.influxdb.ledger import FoundCopy
from ts_migration.influxdb.retries import RetryPolicy, retrying
from ts_migration.influxdb.typed_lines import write_points
from ts_migration.manifests import DigestRecord, LoadManifest
from ts_migration.objects import ExportBucket
from ts_migration.stages.found_points import found_values, save_points, saved_points, untouched_of
from ts_migration.stages.pinpoint import both_sides, differing_parts
from ts_migration.stages.target_reading import read_points
from ts_migration.stages.trace import Sides
from ts_migration.stages.ways import way_made
from ts_migration.validation.digest import PointDigest
from ts_migration.validation.hashing import MASK
from ts_migration.validation.point_values import BlockPoints
from ts_migration.validation.untouched import Untouched, value_table
from ts_migration.windows import Window

LOOKED_UP = 10_000
"""Values of others that are looked for among the lines that were sent; more of them are no fault of a conversion."""


@dataclass(frozen=True)
class Held:
    """What a range holds, or has to hold: both lanes of its digest, and how many values."""

    lanes: tuple[int, int] = (0, 0)
    values: int = 0

    @classmethod
    def of(cls, record: DigestRecord) -> "Held":
        """Of a digest."""
        return cls(record.lanes, record.values)

    def __add__(self, other: "Held") -> "Held":
        """Of two sets of values that share none."""
        lanes = tuple((one + more) & MASK for one, more in zip(self.lanes, other.lanes, strict=True))
        return Held((lanes[0], lanes[1]), self.values + other.values)


def held_in(target: Target, bucket: str, measurement: str, window: Window) -> Held:
    """What a range of a bucket holds now."""
    digest = PointDigest(window.start_ns, window.end_ns)
    for batch in reader.batches(target, bucket, measurement, window):
        digest.add_batch(batch)
    return Held.of(digest.record())


def is_the_jobs_alone(sides: Sides, loaded: LoadManifest | None) -> bool:
    """Whether a finished window holds its export, what was there before and nothing else: no file need be read then."""
    if loaded is None or loaded.parent != sides.converted.digest or loaded.refused_lines:
        return False
    rest = untouched_of(sides.bucket, loaded).without(_batches(sides))
    found = read_points(iter(rest), sides.window, ()).digest.record()
    return found.lanes == sides.converted.expected.lanes


def save_others(sides: Sides, copies: Sequence[FoundCopy], own: Sequence[Window], key: str) -> Held:
    """Save the values of a window that neither its export has nor its copies: others wrote them since.

    Args:
        sides: of the window.
        copies: of what was there before.
        own: ranges that the job wrote before its table was begun anew: what is in them is its own.
        key: of the object; not written where there are no such values.

    Raises:
        Refused: which values are the job's cannot be told: the export files are gone or are not what was exported.
    """
    found = Untouched.of(found_values(sides.bucket, copies, sides.mapping.measurement))
    left = Sides(
        sides.window, sides.mapping, sides.export, sides.converted, sides.held, sides.bucket, sides.target, found
    )
    try:
        others = [SeriesBatch.of(block) for block in _others(left, own)]
    except Permanent as error:
        raise Refused(
            f"which points are the job's cannot be told from others' any more: {error.what}", where=error.where
        ) from None
    if not others:
        return Held()
    return Held.of(save_points(others, sides.bucket, key, sides.mapping.measurement, sides.window))


def _others(sides: Sides, own: Sequence[Window]) -> Iterator[Block]:
    """Blocks of values that are somebody else's."""
    actual = read_points(iter(sides.untouched.without(_batches(sides))), sides.window, ()).digest.record()
    for bins, keep in differing_parts(sides, sides.converted.expected, actual, []):
        expected, there = both_sides(sides, bins, [], keep)
        extra = there.table().join(expected.table(), on=["key", "time"], how="anti")
        for part in own:
            extra = extra.filter(~pl.col("time").is_between(part.start_ns, part.end_ns, closed="left"))
        extra = _not_sent(sides, extra)
        for (part,), values in extra.group_by("part"):
            yield _of_values(there.block(int(str(part))), values)


def _not_sent(sides: Sides, values: pl.DataFrame) -> pl.DataFrame:
    """The values that the window's files have not: what a faulty conversion made is the job's all the same."""
    if not 0 < len(values) <= LOOKED_UP:
        return values
    sent = BlockPoints()
    try:
        sent.add(way_made(sides.converted).blocks_at(sides.bucket, sides.converted, values["time"].to_list()))
    except (Missing, Permanent):
        return values
    return values.join(sent.table(), on=["key", "time"], how="anti")


def _of_values(block: Block, values: pl.DataFrame) -> Block:
    """Some values of a block, as a block."""
    rows = np.unique(values["row"].to_numpy())
    columns = []
    for (field,), some in values.group_by("field"):
        column = block.columns[int(str(field))]
        valid = np.isin(rows, some["row"].to_numpy())
        columns.append(BlockColumn(column.field, column.kind, column.values[rows], valid))
    return Block(block.measurement, block.tags, block.times[rows], tuple(columns))


def expected_after(
    bucket: ExportBucket, copies: Sequence[FoundCopy], others_key: str, others: Held, measurement: str, window: Window
) -> Held:
    """What a range has to hold afterwards: its copies, and over them what others wrote since."""
    if not copies:
        return others
    if not others.values:
        return sum((Held(copy.lanes, copy.values) for copy in copies), Held())
    newer = value_table(saved_points(bucket, others_key, measurement))
    found = found_values(bucket, copies, measurement)
    older = Untouched.of(found.join(newer, on=["key", "time"], how="semi"))
    digest = PointDigest(window.start_ns, window.end_ns)
    for batch in older.without(_saved(bucket, [copy.key for copy in copies], measurement)):
        digest.add_batch(batch)
    return Held.of(digest.record()) + others


def put_back(
    target: Target,
    held: str,
    measurement: str,
    window: Window,
    bucket: ExportBucket,
    keys: Sequence[str],
    wanted: Held,
    policy: RetryPolicy,
) -> None:
    """Delete a range's points, write those of copies in their order, and prove what is there by count and digest.

    Interrupted, it can be repeated: the copies stay.

    Raises:
        Permanent: the range does not hold what it should.
        Transient: InfluxDB or S3 failed for now, after all retries.
    """
    retrying(lambda: delete_points(target, held, measurement, window), policy)
    for key in keys:
        write_points(target, held, _blocks(_saved(bucket, [key], measurement)), policy)
    found = retrying(lambda: held_in(target, held, measurement, window), policy)
    if found != wanted:
        raise Permanent(
            f"the range does not hold what it held before the job: {found.values:,} values, digest "
            f"{found.lanes[0]:016x}{found.lanes[1]:016x}, not {wanted.values:,} values, digest "
            f"{wanted.lanes[0]:016x}{wanted.lanes[1]:016x}",
            where=f"bucket {held!r}, measurement {measurement!r}, {window}",
            next_step="somebody may write to it now; run the rollback again, its copies are kept",
        )


def require_copies(bucket: ExportBucket, copies: Sequence[FoundCopy]) -> str:
    """Why copies cannot be put back; "" where they can."""
    try:
        for copy in copies:
            bucket.size(copy.key)
    except MigrationError as error:
        return f"the copy of what was there before cannot be read: {error}"
    return ""


def _batches(sides: Sides) -> Iterator[SeriesBatch]:
    return reader.batches(sides.target, sides.held, sides.mapping.measurement, sides.window)


def _saved(bucket: ExportBucket, keys: Sequence[str], measurement: str) -> Iterator[SeriesBatch]:
    for key in keys:
        yield from saved_points(bucket, key, measurement)


def _blocks(batches: Iterable[SeriesBatch]) -> Iterator[Block]:
    for batch in batches:
        yield from batch.blocks()
