"""How far a stage has come, told by callback. What is done with it (bars, metadata) belongs to the callers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a stage's work on one window.

    Attributes:
        stage: `export`, `convert` or `load`.
        window: partition key.
        rows: rows (export, convert) or points (load) done.
        total: how many there will be, where that is known.
        bytes: bytes scanned (export), of text written (convert) or sent (load).
    """

    stage: str
    window: str
    rows: int
    total: int | None
    bytes: int


Listener: TypeAlias = Callable[[Progress], None]
