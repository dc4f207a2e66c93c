"""The digest of a conversion's rows, and what each portion of them adds to it: the sums of a file beside its whole.

The digest itself is `validation.digest`; whoever writes files says which portions it wants to know.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import polars as pl

from ts_migration.line_protocol.accepted_rows import Sayable
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.line_protocol.rewrites import Said
from ts_migration.validation.digest import PointDigest
from ts_migration.validation.hashing import MASK

Divided = Callable[[pl.DataFrame], Iterable[tuple[int, pl.DataFrame]]]
"""Cuts rows into portions, each with its number."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Values, and the two sums of their hashes modulo 2^64."""

    values: int = 0
    lanes: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, portions: Iterable["Sums"]) -> Self:
        """Those of all portions together."""
        found = list(portions)
        lanes = [sum(each.lanes[lane] for each in found) & MASK for lane in (0, 1)]
        return cls(sum(each.values for each in found), (lanes[0], lanes[1]))

    @classmethod
    def told(cls, digest: PointDigest) -> Self:
        """Those of a digest as it is now."""
        return cls(digest.counts.total(), digest.lanes)

    def since(self, before: "Sums") -> "Sums":
        """What was added since."""
        lanes = [(self.lanes[lane] - before.lanes[lane]) & MASK for lane in (0, 1)]
        return Sums(self.values - before.values, (lanes[0], lanes[1]))


def digest_rows(digest: PointDigest, said: Said[Sayable], mapping: Mapping, divided: Divided) -> dict[int, Sums]:
    """Add all rows but the rejects, empty ones too: the digest finds their values by a way of its own.

    Returns:
        What each portion has added.
    """
    found: dict[int, list[Sums]] = {}
    for number, frame in _portions(said, divided):
        before = Sums.told(digest)
        digest.add_frame(frame, mapping)
        found.setdefault(number, []).append(Sums.told(digest).since(before))
    return {number: Sums.of(sums) for number, sums in found.items()}


def _portions(said: Said[Sayable], divided: Divided) -> Iterator[tuple[int, pl.DataFrame]]:
    for batch in said.batches:
        yield from divided(batch.accepted)
