"""Blocks of a file as a reader meets them: bytes of the whole file, and where each block's part begins and ends."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ts_migration.influxdb.tsm.columns import Booleans, Bytes, Integers, Words
from ts_migration.influxdb.tsm.ragged import anywhere


class BrokenPart(Exception):
    """A part that cannot be decoded: what is wrong, and its offset in the file. The reader adds the key."""

    def __init__(self, what: str, at: int) -> None:
        self.what = what
        self.at = at
        super().__init__(what, at)


def expect(good: Booleans, at: Integers, what: str) -> None:
    """Refuse the first part for which something does not hold.

    Raises:
        BrokenPart: it is at the part's offset.
    """
    if not good.all():
        raise BrokenPart(what, int(at[int(np.argmin(good))]))


@dataclass(frozen=True, eq=False, slots=True)
class Stretch:
    """Parts of one sort, such as the times of so many blocks.

    `content` is the whole file, in which at least 16 bytes follow every part: an index and the footer.
    """

    content: Bytes
    starts: Integers
    ends: Integers

    def of(self, chosen: Booleans | Integers) -> "Stretch":
        """Some of them."""
        return Stretch(self.content, self.starts[chosen], self.ends[chosen])

    @property
    def sizes(self) -> Integers:
        """Bytes of each."""
        return self.ends - self.starts

    @property
    def encodings(self) -> npt.NDArray[np.uint8]:
        """The high four bits of each first byte."""
        found: npt.NDArray[np.uint8] = self.content[self.starts] >> np.uint8(4)
        return found

    def words(self, after: int, counts: Integers) -> Words:
        """So many big-endian words of each part, from so many bytes behind its beginning, one part behind the other."""
        before = np.cumsum(counts) - counts
        at = np.repeat(self.starts + after - 8 * before, counts) + 8 * np.arange(int(counts.sum()))
        return self.numbers(at, ">u8").astype(np.uint64)

    def numbers(self, at: Integers, dtype: str) -> npt.NDArray[Any]:
        """A number of this dtype at each offset."""
        found: npt.NDArray[Any] = anywhere(self.content, dtype)[at]
        return found
