"""`rollback`: deletes what a job wrote, puts back what was there before it, and proves both by count and digest.

Everything that may be refused is looked at before the first delete. What Dagster remembers is the affair of
`orchestration.rollback`; how one range is taken back is in `stages.put_back`, how far it came in `rollback_record`.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ts_migration.errors import Refused
from ts_migration.influxdb import buckets, reader
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.ledger import LoadIntent
from ts_migration.influxdb.ownership import OwnRange, read_own_ranges, strange_parts
from ts_migration.influxdb.retries import RetryPolicy, retrying
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.manifests import ExportManifest, LineProtocolManifest, LoadManifest, read_manifest
from ts_migration.objects import ExportBucket
from ts_migration.operations.reset import Begun
from ts_migration.stages.found_points import save_points
from ts_migration.stages.mending import forget_load
from ts_migration.stages.put_back import (
    Held,
    expected_after,
    is_the_jobs_alone,
    put_back,
    require_copies,
    save_others,
)
from ts_migration.stages.retention_record import set_back
from ts_migration.stages.rollback_record import RangeRollback, RollbackManifest, read_rollback
from ts_migration.stages.trace import Sides
from ts_migration.windows import Window, iso

EVERYTHING = "--everything"


@dataclass(frozen=True)
class RangeLook:
    """One range that a rollback would take back.

    Attributes:
        window: the range; its key is "" where it is no window of the table any more.
        bucket, measurement: where the points are.
        intent: of the window's load, None where it is no window.
        values: that the range holds now; None where the bucket is gone.
        problem: why it cannot be taken back, "" where nothing is known against it.
    """

    window: Window
    bucket: str
    measurement: str
    intent: LoadIntent | None
    values: int | None
    problem: str = ""

    @property
    def found(self) -> int:
        """Values that were there before the job's first load."""
        return self.intent.found_values if self.intent else 0

    @property
    def line(self) -> str:
        """For people."""
        name = f"window {self.window.key}" if self.window.key else f"{iso(self.window.start_ns)} on, begun before"
        if self.values is None:
            return f"{name}: the bucket {self.bucket!r} that it was loaded into is gone"
        back = f", {self.found:,} that were there before are put back" if self.found else ""
        return f"{name}: {self.values:,} values in bucket {self.bucket!r}, measurement {self.measurement!r}{back}"


@dataclass(frozen=True)
class RollbackLook:
    """What a rollback of a job's table would do."""

    begun: Begun
    ranges: tuple[RangeLook, ...]
    earlier: RollbackManifest | None
    """A rollback that was begun and not finished."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Why nothing can be rolled back, a line each."""
        return tuple(f"window {one.window.key}: {one.problem}" for one in self.ranges if one.problem)

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to roll back."""
        return self.begun.nothing and not self.ranges and self.earlier is None


def look_at_rollback(begun: Begun, bucket: ExportBucket, target: Target, policy: RetryPolicy) -> RollbackLook:
    """Look at what a rollback would do; nothing is changed.

    Raises:
        MigrationError: S3 or InfluxDB cannot be asked.
    """
    earlier = read_rollback(bucket, begun.place)
    ids: dict[str, str] = {}

    def values_of(where: LoadIntent | OwnRange, window: Window) -> int | None:
        if where.bucket not in ids:
            found = retrying(lambda: buckets.find(target, where.bucket), policy)
            ids[where.bucket] = found.id if found else ""
        if ids[where.bucket] != where.bucket_id:
            return None
        return sum(retrying(lambda: reader.counts(target, where.bucket, where.measurement, window), policy).values())

    ranges = []
    for window, intent in begun.loads:
        problem = _problem(bucket, intent, target)
        values = 0 if problem else values_of(intent, window)
        ranges.append(RangeLook(window, intent.bucket, intent.measurement, intent, values, problem))
    for own in read_own_ranges(bucket, begun.place):
        for part in _left_over(own, begun):
            ranges.append(RangeLook(part, own.bucket, own.measurement, None, values_of(own, part)))
    return RollbackLook(begun, tuple(ranges), earlier if earlier and earlier.state == "running" else None)


def _problem(bucket: ExportBucket, intent: LoadIntent, target: Target) -> str:
    if intent.org != target.org:
        return f"it was loaded into the organisation {intent.org!r}, not {target.org!r}"
    if intent.found_values and not intent.found:
        return (
            f"{intent.found_values:,} values of others were there before the load and no copy of them was kept: "
            "they could not be put back"
        )
    return require_copies(bucket, intent.found)


def _left_over(own: OwnRange, begun: Begun) -> list[Window]:
    """The parts of a range that the job wrote before and that no window of it covers now."""
    whole = Window(own.start_ns, own.end_ns)
    windows = [OwnRange.of(intent, window) for window, intent in begun.loads]
    return strange_parts(whole, own, windows)


@dataclass(frozen=True)
class Rollback:
    """What a rollback works with."""

    look: RollbackLook
    mapping: Mapping | None
    """As the table was begun with; None where it was not begun."""
    bucket: ExportBucket
    target: Target
    policy: RetryPolicy
    everything: bool = False
    """Also delete, after keeping a copy, what cannot be told from the job's points."""

    def plan(self, reason: str, report: Callable[[str], None] = lambda _: None) -> RollbackManifest:
        """Save what others wrote since, and write down what each range has to hold afterwards. Deletes nothing.

        Raises:
            Refused: something of others would be lost; every range that says so is named.
        """
        if self.look.problems:
            raise self._refused(self.look.problems)
        if self.look.earlier is not None:
            return self.look.earlier
        planned: list[RangeRollback] = []
        problems: list[str] = []
        for one in self.look.ranges:
            report(f"looking at {one.line}")
            try:
                planned.append(self._planned(one))
            except Refused as error:
                problems.append(f"window {one.window.key}: {error.what}")
        if problems:
            raise self._refused(problems, f"{EVERYTHING} deletes these windows' points after keeping a copy of them")
        job = self.look.begun.job
        self._put_away()
        record = RollbackManifest(job=job.job_name, source=job.source, reason=reason, ranges=tuple(planned))
        return record.write(self.bucket, self.look.begun.place.rollback)

    def delete(self, record: RollbackManifest, report: Callable[[str], None] = lambda _: None) -> RollbackManifest:
        """Take every range back that is not yet, one after the other, and prove each.

        Raises:
            Permanent: a range does not hold what it should afterwards.
            Transient: a server failed for now; the same call goes on.
        """
        place = self.look.begun.place
        for index, one in enumerate(record.ranges):
            if one.state == "restored":
                continue
            begun = one.model_copy(update={"state": "deleting"})
            record = record.with_range(index, begun).write(self.bucket, place.rollback)
            if one.key:
                # First of all: interrupted in the midst of it, the load must not look done.
                forget_load(self.bucket, place.window(one.key))
            if one.before or one.values:
                wanted = Held(one.lanes, one.values)
                put_back(
                    self.target, one.bucket, one.measurement, one.window, self.bucket, one.copies, wanted, self.policy
                )
            done = one.model_copy(update={"state": "restored"})
            record = record.with_range(index, done).write(self.bucket, place.rollback)
            name = f"window {one.key}" if one.key else f"{iso(one.start_ns)} on"
            since = f", {one.others:,} of them written by others since" if one.others else ""
            report(f"{name}: {one.before:,} values before the rollback, {one.values:,} now{since}")
        emptied = self._delete_empty_buckets(record)
        retention = set_back(self.bucket, place, self.target, self.policy) or record.retention
        changed = {"buckets_deleted": (*record.buckets_deleted, *emptied), "retention": retention}
        return record.model_copy(update=changed).write(self.bucket, place.rollback)

    def _planned(self, one: RangeLook) -> RangeRollback:
        planned = RangeRollback(
            key=one.window.key,
            start_ns=one.window.start_ns,
            end_ns=one.window.end_ns,
            bucket=one.bucket,
            measurement=one.measurement,
            before=one.values or 0,
        )
        if one.values is None or (not one.values and not one.found):
            return planned
        copies = one.intent.found if one.intent else ()
        others, others_key = Held(), ""
        sides, loaded = self._sides(one)
        if sides is None:
            kept_key = self._keep_all(one)
            planned = planned.model_copy(update={"kept_key": kept_key})
        elif not is_the_jobs_alone(sides, loaded):
            place = self.look.begun.place
            others_key = f"{place.rolled_back}{_now()}/{one.window.key}-others.parquet"
            try:
                others = save_others(sides, copies, self._own(one), others_key)
            except Refused:
                if not self.everything:
                    raise
                planned = planned.model_copy(update={"kept_key": self._keep_all(one)})
        others_key = others_key if others.values else ""
        after = expected_after(self.bucket, copies, others_key, others, one.measurement, one.window)
        return planned.model_copy(
            update={
                "found": copies,
                "others_key": others_key,
                "others": others.values,
                "lanes": after.lanes,
                "values": after.values,
            }
        )

    def _sides(self, one: RangeLook) -> tuple[Sides | None, LoadManifest | None]:
        """The window as it was exported and is held; None where nothing tells the job's points from others'.

        Raises:
            Refused: nothing tells them apart, and not everything is to be deleted.
        """
        if one.intent is None:
            return None, None
        place = self.look.begun.place.window(one.window.key)
        export = read_manifest(ExportManifest, self.bucket, place.manifest("export"))
        converted = read_manifest(LineProtocolManifest, self.bucket, place.manifest("line_protocol"))
        if self.mapping is None or export is None or converted is None or converted.parent != export.digest:
            if not self.everything:
                raise Refused("its export and conversion are not there (any more): the job's points cannot be told")
            return None, None
        sides = Sides(one.window, self.mapping, export, converted, one.bucket, self.bucket, self.target)
        return sides, read_manifest(LoadManifest, self.bucket, place.manifest("load"))

    def _own(self, one: RangeLook) -> list[Window]:
        """Ranges within a window that the job wrote before its table was begun anew."""
        return [
            Window(own.start_ns, own.end_ns)
            for own in read_own_ranges(self.bucket, self.look.begun.place)
            if one.intent is not None and own.same_place(one.intent)
        ]

    def _keep_all(self, one: RangeLook) -> str:
        """A copy of all that a range holds, for it may not all be the job's."""
        key = f"{self.look.begun.place.rolled_back}{_now()}/{one.window.start_ns}-{one.window.end_ns}.parquet"
        batches = reader.batches(self.target, one.bucket, one.measurement, one.window)
        save_points(batches, self.bucket, key, one.measurement, one.window)
        return key

    def _delete_empty_buckets(self, record: RollbackManifest) -> list[str]:
        """Delete the buckets that this tool made and that hold nothing any more."""
        deleted = []
        for name in sorted({one.bucket for one in record.ranges}):
            found = retrying(lambda name=name: buckets.find(self.target, name), self.policy)  # type: ignore[misc]
            if found is not None and found.made_here and buckets.is_empty(self.target, name):
                buckets.delete(self.target, found)
                deleted.append(name)
        return deleted

    def _put_away(self) -> None:
        """Keep the record of an earlier rollback."""
        place = self.look.begun.place
        earlier = read_rollback(self.bucket, place)
        if earlier is not None:
            earlier.write(self.bucket, f"{place.rolled_back}{earlier.written_at.replace(':', '')}.json")

    def _refused(self, problems: Sequence[str], next_step: str = "") -> Refused:
        lines = "\n  - ".join(["nothing was deleted, for points of others would be lost:", *problems])
        return Refused(lines, where=f"job {self.look.begun.job.job_name!r}", next_step=next_step)


def _now() -> str:
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{time.time_ns() % 10**9:09d}"
