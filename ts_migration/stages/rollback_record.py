"""What a rollback is about to do and has done, range by range: written before and after each, so that it can go on.

It lies beside table.json and outlives the table's manifests. How a range is taken back is in `stages.put_back`.
"""

import shlex
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ts_migration.errors import Refused
from ts_migration.influxdb.ledger import FoundCopy
from ts_migration.manifests import Manifest, read_manifest
from ts_migration.objects import ExportBucket, TablePlace
from ts_migration.windows import Window

RangeState = Literal["planned", "deleting", "restored"]


class RangeRollback(BaseModel):
    """One range of a bucket: a loaded window, or one that the job wrote before its table was begun anew.

    Attributes:
        key: partition key; "" of a range that is no window of the table any more.
        start_ns, end_ns: half-open.
        bucket, measurement: where the points are.
        before: values that the range held when the rollback began.
        found: copies of what it held before the job's first load.
        others_key, others: object with the values that others wrote since, and how many; they are put back, too.
        kept_key: object with all of the range's values, where those of others could not be told from the job's.
        lanes, values: digest and count that it has to have afterwards.
        state: deleting: its points may be gone and not put back yet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    start_ns: int
    end_ns: int
    bucket: str
    measurement: str
    before: int
    found: tuple[FoundCopy, ...] = ()
    others_key: str = ""
    others: int = 0
    kept_key: str = ""
    lanes: tuple[int, int] = (0, 0)
    values: int = 0
    state: RangeState = "planned"

    @property
    def window(self) -> Window:
        """The range."""
        return Window(self.start_ns, self.end_ns, self.key)

    @property
    def copies(self) -> tuple[str, ...]:
        """Keys of what is put back, the older first."""
        return (*(copy.key for copy in self.found), *filter(None, [self.others_key]))


class RollbackManifest(Manifest):
    """A rollback of a job's table. `state` is done once its ranges are proven and its objects are gone."""

    stage: Literal["rollback"] = "rollback"
    job: str
    source: str
    reason: str
    state: Literal["running", "done"] = "running"
    ranges: tuple[RangeRollback, ...]
    buckets_deleted: tuple[str, ...] = ()
    """Buckets that this tool had made and that held nothing afterwards."""
    retention: str = ""
    """What became of the retention that a roll-up had set on a bucket that was there before."""
    objects: int = 0
    """Objects of the export bucket that were deleted."""
    materializations: int = 0
    """Materialisations in Dagster that were taken back."""

    @property
    def deleted(self) -> int:
        """Values that the buckets held more than they do now."""
        return sum(one.before - one.values for one in self.ranges)

    def with_range(self, index: int, changed: RangeRollback) -> "RollbackManifest":
        """The same with another state of one range."""
        ranges = (*self.ranges[:index], changed, *self.ranges[index + 1 :])
        return self.model_copy(update={"ranges": ranges})


def read_rollback(bucket: ExportBucket, place: TablePlace) -> RollbackManifest | None:
    """The latest rollback of a table, or None."""
    return read_manifest(RollbackManifest, bucket, place.rollback)


def require_no_rollback(bucket: ExportBucket, place: TablePlace) -> None:
    """Refuse to load while a rollback of the table is not finished: it would be taken for finished with the new points.

    Raises:
        Refused: one is.
    """
    found = read_rollback(bucket, place)
    if found is not None and found.state == "running":
        raise Refused(
            "a rollback of the table was begun and is not finished",
            where=f"job {found.job!r}",
            next_step=f"ts-migration rollback {shlex.quote(found.job)} goes on with it",
        )
