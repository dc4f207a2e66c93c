"""What a restore of exports into a Timestream table has written and proven, window by window, so that it can go on.

It lies beside the manifests of the exports. How a window is written and proven is in `stages.restore`.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from ts_migration.manifests import Manifest, Sha256


class RestoredWindow(BaseModel):
    """One window in the restored table.

    Attributes:
        key: partition key.
        export: digest of the export's manifest that it was written from.
        rows, values, lanes: what the export holds, and what the table was found to hold again.
        others: rows that the table held beside those, which stay.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    export: Sha256
    rows: int
    values: int
    lanes: tuple[int, int]
    others: int = 0


class RestoreManifest(Manifest):
    """A restore into one table: begun with the first write, `windows` are those that are proven."""

    stage: Literal["restore"] = "restore"
    source: str
    table: str
    """`database.table` that was restored into."""
    record_version: int
    existing_allowed: bool
    """Whether the table held rows before, and somebody said that it may."""
    windows: tuple[RestoredWindow, ...] = ()

    def window(self, key: str) -> RestoredWindow | None:
        """What was proven of a window."""
        return next((one for one in self.windows if one.key == key), None)

    def with_window(self, proven: RestoredWindow) -> "RestoreManifest":
        """The same with one more window, or with another proof of one."""
        others = tuple(one for one in self.windows if one.key != proven.key)
        return self.model_copy(update={"windows": tuple(sorted((*others, proven), key=lambda one: one.key))})
