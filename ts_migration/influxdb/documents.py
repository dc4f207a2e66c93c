"""The documents of an InfluxQL answer in MessagePack, one behind the other: which series they hold, where rows lie.

What an answer says about itself is noticed here: errors, that it goes on, that it ended early. Rows stay bytes: what
they say is for `row_columns`, which decodes them in bulk, and `unpacking`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgpack

UNPACKING: dict[str, Any] = {
    "raw": False,
    "use_list": False,
    "unicode_errors": "surrogateescape",
    "strict_map_key": False,
}
"""How text and arrays are unpacked, everywhere: bytes that are no UTF-8 are kept."""

_LONGEST_DOCUMENT = 1 << 30


class EndedEarly(Exception):
    """An answer ends before its last document does."""


class NoAnswer(Exception):
    """What was answered has not the form of an InfluxQL answer."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one series in one document. Their bytes lie from `start` to `end`, counted from the answer's first.

    `tags` are as the answer has them: a tag that the series has not is empty.
    """

    measurement: str
    tags: dict[str, str]
    columns: tuple[str, ...]
    count: int
    start: int
    end: int


class Documents:
    """The documents of one answer, pulled from its pieces as they are needed.

    Args:
        pieces: bytes of the answer, in any portions.
        refusal: makes the exception for the words of an error inside the answer: HTTP said 200 long before.
    """

    def __init__(self, pieces: Iterable[bytes], refusal: Callable[[str], Exception]) -> None:
        self._pieces = iter(pieces)
        self._refusal = refusal
        self._held = bytearray()
        self._held_from = 0
        self._unpacker = msgpack.Unpacker(self, max_buffer_size=_LONGEST_DOCUMENT, **UNPACKING)
        self._more = True
        self._inside = False

    def read(self, _: int) -> bytes:
        """The next piece, for the unpacker, which takes this object for a file."""
        piece = next((each for each in self._pieces if each), b"")
        self._held += piece
        return piece

    def series(self) -> Iterator[Rows]:
        """Series after series to the end of the answer; a long one in several parts.

        Raises:
            EndedEarly: within a document, or before the last one.
            NoAnswer: it is MessagePack of another form.
            Exception: what `refusal` makes of an error inside the answer.
            msgpack.UnpackException, ValueError: it is damaged.
        """
        try:
            while True:
                yield from self._document()
        except msgpack.OutOfData:
            if self._more or self._inside or self._unpacker.tell() != self._held_from + len(self._held):
                raise EndedEarly from None

    def cut(self, start: int, end: int) -> bytes:
        """The bytes from one offset to another. What lies before the other is given up."""
        with memoryview(self._held) as held:
            result = bytes(held[start - self._held_from : end - self._held_from])
        del self._held[: end - self._held_from]
        self._held_from = end
        return result

    def _document(self) -> Iterator[Rows]:
        unpacker = self._unpacker
        try:
            size = unpacker.read_map_header()
        except ValueError:
            raise NoAnswer from None
        self._inside = True
        for _ in range(size):
            key = unpacker.unpack()
            if key == "results":
                for _ in range(unpacker.read_array_header()):
                    yield from self._result()
            elif key == "error":
                self._refuse(unpacker.unpack())
            else:
                unpacker.skip()
        self._inside = False

    def _result(self) -> Iterator[Rows]:
        unpacker = self._unpacker
        self._more = False
        for _ in range(unpacker.read_map_header()):
            key = unpacker.unpack()
            if key == "series":
                for _ in range(unpacker.read_array_header()):
                    yield self._rows()
            elif key == "error":
                self._refuse(unpacker.unpack())
            elif key == "partial":
                self._more = bool(unpacker.unpack())
            else:
                unpacker.skip()

    def _rows(self) -> Rows:
        unpacker = self._unpacker
        name, columns = "", ()
        tags: dict[str, str] = {}
        count = start = end = 0
        for _ in range(unpacker.read_map_header()):
            key = unpacker.unpack()
            if key == "values":
                before = unpacker.tell()
                # In one go, its head included: C code then walks it as its bytes arrive.
                unpacker.skip()
                end = unpacker.tell()
                count, start = self._array(before)
            elif key == "tags":
                tags = unpacker.unpack() or {}
            elif key == "columns":
                columns = unpacker.unpack()
            elif key == "name":
                name = unpacker.unpack()
            else:
                unpacker.skip()
        return Rows(name, tags, columns, count, start, end)

    def _array(self, at: int) -> tuple[int, int]:
        """Length of the array that begins at an offset, and the offset of its first element."""
        head = self._held[at - self._held_from : at - self._held_from + 5]
        first = head[0]
        if first & 0xF0 == 0x90:
            return first & 0x0F, at + 1
        if first == 0xDC:
            return int.from_bytes(head[1:3], "big"), at + 3
        if first == 0xDD:
            return int.from_bytes(head[1:5], "big"), at + 5
        raise NoAnswer

    def _refuse(self, words: Any) -> None:
        if words:
            raise self._refusal(str(words))
