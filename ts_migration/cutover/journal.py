"""The record of a cutover under work: changed step by step, written to the bucket before and after each action."""

from contextlib import suppress
from typing import Any, Self

from ts_migration.cutover.record import HISTORY_PREFIX, RECORD_KEY, CutoverRecord
from ts_migration.errors import MigrationError
from ts_migration.manifests import now_text
from ts_migration.objects import ExportBucket


class Journal:
    """A record and where it is written."""

    def __init__(self, bucket: ExportBucket, record: CutoverRecord) -> None:
        self.bucket = bucket
        self.record = record

    @classmethod
    def after(cls, bucket: ExportBucket, former: CutoverRecord | None, record: CutoverRecord) -> Self:
        """Begin a record; a former one is kept in the history."""
        if former is not None:
            former.write(bucket, f"{HISTORY_PREFIX}{former.id}.json")
        journal = cls(bucket, record)
        journal.write()
        return journal

    def note(self, index: int, **values: Any) -> None:
        """Change an action's record, without writing it."""
        actions = list(self.record.actions)
        actions[index] = actions[index].model_copy(update=values)
        self.record = self.record.model_copy(update={"actions": tuple(actions)})

    def write_action(self, index: int, **values: Any) -> None:
        """Change an action's record and write it."""
        self.note(index, **values)
        self.write()

    def write(self, **values: Any) -> CutoverRecord:
        """Change the record and write it.

        Raises:
            MigrationError: S3 failed.
        """
        self.record = self.record.model_copy(update={**values, "written_at": now_text()})
        return self.record.write(self.bucket, RECORD_KEY)

    def try_write(self, **values: Any) -> None:
        """As `write`, where the work must go on whatever becomes of it; the last write of a reversal tells."""
        with suppress(MigrationError):
            self.write(**values)
