"""The record of a cutover in the export bucket: what each action found, what it set and how far it came.

It is written before and after each action, so that whoever comes after a crash can go on or put everything back. There
is one at a time; records of earlier cutovers are kept beside it.
"""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from ts_migration.cutover.undo import Undo
from ts_migration.cutover_settings import Action
from ts_migration.manifests import Manifest, Sha256, now_text, read_manifest
from ts_migration.objects import PROOF_PREFIX, ExportBucket

RECORD_KEY = f"{PROOF_PREFIX}cutover.json"
HISTORY_PREFIX = f"{PROOF_PREFIX}cutover-history/"

MASK = "(secret)"
MARK = "ts-migration cutover"
"""How every text begins that marks what a cutover made."""

State = Literal["planned", "applied", "reverting", "reverted", "failed"]


class Change(BaseModel):
    """One thing that an action changes, for people: secrets are masked, None is what is not there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    before: str | None
    after: str | None

    def without_before(self) -> Self:
        """It, with what was there before masked."""
        return self if self.before is None else self.model_copy(update={"before": MASK})


class ActionRecord(BaseModel):
    """One action of a cutover."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    target: str
    changes: tuple[Change, ...] = ()
    undo: Undo | None = None
    """None: it was not begun."""
    state: State = "planned"
    """planned with an undo: begun, and nobody knows whether it came through. failed: its reverse failed."""
    problem: str = ""


class CutoverRecord(Manifest):
    """A cutover: planned (begun, not finished), applied, reverting, reverted (all as before) or failed (in between)."""

    stage: Literal["cutover"] = "cutover"
    id: str
    proof: str
    """Digest of what was proven when it began."""
    who: str
    settings: Sha256
    """Fingerprint of the actions and of what they were filled with, secrets left out."""
    state: State
    actions: tuple[ActionRecord, ...]
    problem: str = ""
    """Why it was not applied, or not wholly reverted."""
    began_at: str
    reverted_by: str = ""

    @classmethod
    def begun(cls, id_: str, proof: str, who: str, settings: str, actions: Sequence[Action]) -> Self:
        """A record of a cutover of which nothing is done."""
        planned = tuple(ActionRecord(type=action.type, target=action.target) for action in actions)
        return cls(
            id=id_, proof=proof, who=who, settings=settings, state="planned", actions=planned, began_at=now_text()
        )

    @property
    def unfinished(self) -> bool:
        """Whether it is neither applied nor reverted."""
        return self.state not in ("applied", "reverted")

    def goes_on_as(self, proof: str, settings: str) -> bool:
        """Whether an interrupted application of these is what it records."""
        return self.state == "planned" and self.proof == proof and self.settings == settings

    def mark(self, index: int) -> str:
        """A text that traces of one action are known by."""
        return f"{MARK} {self.id} action {index + 1}"


def cutover_record(bucket: ExportBucket) -> CutoverRecord | None:
    """The record of the latest cutover, or None where there was none.

    Raises:
        MigrationError: S3 failed, or the record is damaged.
    """
    return read_manifest(CutoverRecord, bucket, RECORD_KEY)
