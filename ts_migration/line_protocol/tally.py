"""Sums over the frames of a window: rows, and what became of them. What is written of them is the stages' affair."""

from collections import Counter
from dataclasses import dataclass, field

from ts_migration.line_protocol.accepted_rows import Sayable
from ts_migration.line_protocol.rejects import rejects_digest
from ts_migration.line_protocol.rewrites import Said


@dataclass
class Tally:
    """Counts are rows, but for `points` (lines) and `values` (per field key); `rewritten` is per rule.

    `quarantined_digest` is that of the quarantined rows, see `rejects_digest`.
    """

    rows: int = 0
    points: int = 0
    quarantined: int = 0
    quarantined_digest: int = 0
    empty: int = 0
    values: Counter[str] = field(default_factory=Counter)
    rewritten: Counter[str] = field(default_factory=Counter)

    def count(self, rows: int, said: Said[Sayable]) -> None:
        """Take a frame of so many rows into account."""
        self.rows += rows
        self.quarantined += len(said.rejects)
        self.quarantined_digest = (self.quarantined_digest + rejects_digest(said.rejects)) % 2**64
        self.rewritten.update(said.rewritten)
        for encoded in said.batches:
            self.points += encoded.points
            self.empty += encoded.empty
            self.values.update(encoded.counts)
