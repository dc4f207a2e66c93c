"""Which requests of a load the server has acknowledged, kept in the export bucket so that a killed load goes on.

Bound to the digest of the line protocol manifest and to the bucket's id. An `intent` is written before the first byte,
so that a killed load knows that it had found the range empty. What this machine has acknowledged since the last page is
in a `journal`. How requests are sent is in `writer`.
"""

import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from ts_migration.influxdb.bodies import Delivered, RefusedLine
from ts_migration.influxdb.concurrency import START
from ts_migration.influxdb.journal import Journal
from ts_migration.manifests import Manifest, Sha256, read_manifest
from ts_migration.objects import ExportBucket, WindowPlace

WRITE_EVERY_MEMBERS = 200
WRITE_EVERY_S = 5.0
"""A page is written when so many members or seconds have passed: that much is repeated where a load goes on without the
journal, which is on another machine."""


class FoundCopy(BaseModel):
    """A copy of the points that a part of a window held before the job wrote to it (`saved_points`).

    `lanes` and `counts` are of the digest of all its values; the range is what was looked at, ns, half-open.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    start_ns: int
    end_ns: int
    values: int
    counts: dict[str, int]
    lanes: tuple[int, int]


class LoadIntent(Manifest):
    """That a job is about to write a window, and what it found there. Written before the first byte."""

    stage: Literal["load_intent"] = "load_intent"
    job: str
    org: str
    bucket: str
    bucket_id: str
    measurement: str
    found_values: int
    """Others' values in the range before the first byte; more than 0 only with allow_existing_data."""
    found: tuple[FoundCopy, ...] = ()
    """Copies of them; none where an earlier version began the load."""

    def same_place(self, other: "LoadIntent") -> bool:
        """Whether both speak of one job and one place: points in the range are then the job's own."""
        mine = (self.job, self.org, self.bucket, self.bucket_id, self.measurement)
        return mine == (other.job, other.org, other.bucket, other.bucket_id, other.measurement)


class KeptLine(BaseModel):
    """A refused line as the ledger keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    member: int
    line: str
    reason: str


class LedgerPage(Manifest):
    """Acknowledged members of one process's load: runs of member numbers, both ends included."""

    stage: Literal["ledger"] = "ledger"
    line_protocol: Sha256
    bucket_id: str
    runs: tuple[tuple[int, int], ...]
    refused: tuple[KeptLine, ...]


def intent_key(place: WindowPlace) -> str:
    """Key of the intent."""
    return f"{place.ledger}intent.json"


def read_intent(bucket: ExportBucket, place: WindowPlace) -> LoadIntent | None:
    """The window's intent, or None."""
    return read_manifest(LoadIntent, bucket, intent_key(place))


class Ledger:
    """The acknowledged members of one window. One page per process, rewritten as it grows; all pages count.

    Args:
        bucket: the export bucket.
        place: of the window.
        line_protocol: digest of the manifest whose members are sent.
        bucket_id: of the target bucket.
        journals: folder of this machine for what was acknowledged since the last page; None keeps none.
        clock: seconds, monotonic.

    Attributes:
        acknowledged: numbers of the members that are durable.
        refused: their lines that the server did not take.
    """

    def __init__(
        self,
        bucket: ExportBucket,
        place: WindowPlace,
        line_protocol: str,
        bucket_id: str,
        journals: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bucket = bucket
        self.place = place
        self.line_protocol = line_protocol
        self.bucket_id = bucket_id
        self.acknowledged: set[int] = set()
        self.refused: list[RefusedLine] = []
        self._clock = clock
        page = f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(3)}.json"
        self._key = f"{self._prefix}{page}"
        self._journal = Journal(journals, page) if journals else None
        self._earlier: list[Journal] = []
        self._begun = self._long = False
        self._unwritten = 0
        self._written_at = clock()

    @classmethod
    def open(
        cls,
        bucket: ExportBucket,
        place: WindowPlace,
        line_protocol: str,
        bucket_id: str,
        journals: Path | None = None,
    ) -> Self:
        """What earlier loads of these very files into this very bucket have acknowledged; empty if there were none."""
        ledger = cls(bucket, place, line_protocol, bucket_id, journals)
        for found in list(bucket.list(ledger._prefix)):
            page = read_manifest(LedgerPage, bucket, found.key)
            if page is None or page.line_protocol != line_protocol or page.bucket_id != bucket_id:
                continue
            ledger.acknowledged.update(number for first, last in page.runs for number in range(first, last + 1))
            ledger.refused += [RefusedLine(kept.member, kept.line, kept.reason) for kept in page.refused]
            if journals:
                ledger._read_journal(Journal(journals, found.key.removeprefix(ledger._prefix)))
        ledger.refused = list(dict.fromkeys(ledger.refused))
        return ledger

    def begin(self, members: int) -> None:
        """Say how many members are about to be sent.

        More than can be in flight at first get a page before the first byte: it is what gives the journal its word.
        Fewer are sent again as a whole where the load is killed, as they may be without it.
        """
        self._long = members > START
        self._begun = self._long and self._journal is not None
        if self._begun:
            self._write_page()

    def add(self, delivered: Delivered) -> None:
        """Remember a delivered member, and write the page when enough has come together."""
        self.acknowledged.add(delivered.number)
        self.refused += delivered.refused
        self._unwritten += 1
        if self._begun and self._journal is not None:
            self._journal.add(delivered)
        if self._unwritten >= WRITE_EVERY_MEMBERS or self._clock() - self._written_at >= WRITE_EVERY_S:
            self.write()

    def write(self) -> None:
        """Write the page where something is new. Called at the end too, also of a load that failed."""
        if self._unwritten:
            self._write_page()

    def close(self) -> None:
        """The load ended well. A long one writes what is new; of a short one the load's manifest says it all.

        Journals go whose word is in the page now.
        """
        if self._long or self._earlier:
            self.write()
        for journal in [*self._earlier, *([self._journal] if self._journal else [])]:
            journal.delete()

    def forget(self) -> None:
        """Take back everything: the points that were acknowledged are not in the bucket any more."""
        self.bucket.delete_prefix(self._prefix)
        for journal in self._earlier:
            journal.delete()
        self.acknowledged, self.refused, self._earlier = set(), [], []

    @property
    def _prefix(self) -> str:
        return f"{self.place.ledger}{self.line_protocol[:16]}/"

    def _read_journal(self, journal: Journal) -> None:
        for delivered in journal.read():
            if delivered.number not in self.acknowledged:
                self._unwritten += 1
            self.acknowledged.add(delivered.number)
            self.refused += delivered.refused
        self._earlier.append(journal)

    def _write_page(self) -> None:
        LedgerPage(
            line_protocol=self.line_protocol,
            bucket_id=self.bucket_id,
            runs=tuple(runs_of(self.acknowledged)),
            refused=tuple(KeptLine(member=each.body, line=each.line, reason=each.reason) for each in self.refused),
        ).write(self.bucket, self._key)
        self._unwritten = 0
        self._written_at = self._clock()


def runs_of(numbers: set[int]) -> list[tuple[int, int]]:
    """Numbers as runs, both ends included, ascending."""
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs
