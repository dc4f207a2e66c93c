"""Ordinary lines of a whole body at once: numpy finds the structure, pyarrow parses the numbers.

A line is ordinary if it can be proven, from its own bytes alone, that the scalar parser would read it the same way:
one space between sections, backslashes only in simple heads and inside strings, every quote opens behind `=` and
closes before `,`, a space or the line's end. Everything else is *messy* and left to `scalar`, the authority on what a
line means.
"""

import re
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ts_migration.local.influxdb.line_protocol import scalar
from ts_migration.local.influxdb.line_protocol.batch import Batch, BatchColumn, take
from ts_migration.local.influxdb.line_protocol.tokens import Tokens, read_values
from ts_migration.local.influxdb.points import MAX_TIME_NS, MIN_TIME_NS

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_LF, _SPACE, _QUOTE, _COMMA, _EQUALS, _BACKSLASH = 0x0A, 0x20, 0x22, 0x2C, 0x3D, 0x5C
_SIMPLE_HEAD = re.compile(rb"(?:[^\\]|\\[,= ])+\Z", re.DOTALL)
_HEADS_KEPT = 200_000
_MAX_LINE = 1 << 28

_known_heads: dict[bytes, bytes | None] = {}
"""Head of a line (measurement and tags as sent) -> series key, or None where the scalar parser must speak."""


@dataclass(frozen=True, slots=True)
class Ordinary:
    """The ordinary lines of a body and the indices of the messy ones, both by physical line (split on every LF)."""

    line_starts: Ints
    messy: Ints
    lines: Ints
    ends: Ints
    keys: list[bytes]
    series: npt.NDArray[np.int32]
    times: Ints
    columns: list[BatchColumn]

    def batch(self, body: bytes) -> Batch:
        """The ordinary lines as a batch."""
        spans = np.stack((self.line_starts[self.lines], self.ends), axis=1)
        return Batch(self.keys, self.series, self.times, self.columns, body, spans)

    def without(self, consumed: Bools) -> "Ordinary":
        """The same less the physical lines that turned out to be the inside of a messy logical line."""
        keep = ~consumed[self.lines]
        row_of = np.cumsum(keep) - 1
        columns: list[BatchColumn] = []
        for column in self.columns:
            kept = np.flatnonzero(keep[column.rows])
            if len(kept):
                values = take(column.values, kept)
                columns.append(BatchColumn(column.name, column.type, row_of[column.rows[kept]], values))
        return replace(
            self,
            lines=self.lines[keep],
            ends=self.ends[keep],
            series=self.series[keep],
            times=self.times[keep],
            columns=columns,
        )


@dataclass(frozen=True, slots=True)
class _Lines:
    """Physical lines with content: their span, where the head ends, and which are still believed to be ordinary."""

    index: Ints
    starts: Ints
    ends: Ints
    heads: Ints
    good: Bools


def read(body: bytes, multiplier_ns: int, now_ns: int) -> Ordinary | None:
    """The ordinary lines of a body, or None where it is not worth the trouble (tiny or enormous bodies)."""
    if len(body) < 64 or len(body) > _MAX_LINE:
        return None
    text = body if body.endswith(b"\n") else body + b"\n"
    buf = np.frombuffer(text, dtype=np.uint8)
    line_ends = np.flatnonzero(buf == _LF)
    line_starts = np.concatenate((np.zeros(1, dtype=np.int64), line_ends[:-1] + 1))
    escapes = np.flatnonzero(buf == _BACKSLASH) if b"\\" in text else np.empty(0, dtype=np.int64)
    lines = _find_heads(buf, line_starts, line_ends, escapes)
    if not len(lines.index):
        return None
    positions, owner = _structure(buf, lines, escapes)
    fields, stamps = _check_order(buf, positions, owner, lines)
    return _assemble(buf, lines, fields, stamps, line_starts, multiplier_ns, now_ns)


def _find_heads(buf: npt.NDArray[np.uint8], starts: Ints, ends: Ints, escapes: Ints) -> _Lines:
    filled = np.flatnonzero(ends > starts)
    starts, ends = starts[filled], ends[filled]
    spaces = np.flatnonzero(buf == _SPACE)
    if len(escapes):
        spaces = spaces[buf[np.maximum(spaces - 1, 0)] != _BACKSLASH]
    spaces = np.append(spaces, len(buf))
    heads = spaces[np.searchsorted(spaces, starts)]
    good = heads < ends
    first = buf[starts]
    good &= (first > _SPACE) & (first != 0x23) & (first != _COMMA)
    heads = np.where(good, heads, starts)
    second = buf[np.minimum(heads + 1, len(buf) - 1)]
    good &= (second != 0) & (second != 0x09)
    return _Lines(filled, starts, ends, heads, good)


def _escaped(escapes: Ints) -> Ints:
    """The positions that a backslash takes the meaning from: those behind an odd run of them."""
    if not len(escapes):
        return escapes
    first = np.flatnonzero(np.diff(escapes, prepend=escapes[0] - 2) != 1)
    lengths = np.diff(np.append(first, len(escapes)))
    last = escapes[first + lengths - 1]
    positions: Ints = last[lengths % 2 == 1] + 1
    return positions


def _reject_backslashes(lines: _Lines, escapes: Ints, quotes: Ints, before_head: Ints) -> None:
    """Backslashes of a field section must stand inside strings."""
    if not len(escapes):
        return
    owner = np.minimum(np.searchsorted(lines.ends, escapes), len(lines.ends) - 1)
    inside = ((np.searchsorted(quotes, escapes) - before_head[owner]) & 1) == 1
    lines.good[owner[(escapes > lines.heads[owner]) & ~inside]] = False


def _structure(buf: npt.NDArray[np.uint8], lines: _Lines, escapes: Ints) -> tuple[Ints, Ints]:
    """Unquoted `=`, `,`, space and LF of the field sections with the line each belongs to; checks quotes on the way."""
    marks = np.flatnonzero((buf == _EQUALS) | (buf == _COMMA) | (buf == _SPACE) | (buf == _LF))
    is_lf = buf[marks] == _LF
    # Empty lines own nothing: only the ends of filled lines count.
    filled_end = np.zeros(len(marks), dtype=np.int64)
    filled_end[np.searchsorted(marks, lines.ends)] = 1
    owner = np.cumsum(filled_end) - filled_end
    keep = (filled_end == 1) | ~is_lf
    marks, owner = marks[keep], owner[keep]
    inside = (marks > lines.heads[owner]) & lines.good[owner]
    marks, owner = marks[inside], owner[inside]
    quotes = np.flatnonzero(buf == _QUOTE)
    if len(escapes) and len(quotes):
        quotes = quotes[~np.isin(quotes, _escaped(escapes), assume_unique=True)]
    before_head = np.searchsorted(quotes, lines.heads)
    _reject_backslashes(lines, escapes, quotes, before_head)
    if not len(quotes):
        return marks, owner
    odd = ((np.searchsorted(quotes, marks) - before_head[owner]) & 1).astype(np.bool_)
    lines.good[owner[odd & (buf[marks] == _LF)]] = False
    _check_quotes(buf, quotes, before_head, lines)
    outside = ~odd & lines.good[owner]
    return marks[outside], owner[outside]


def _check_quotes(buf: npt.NDArray[np.uint8], quotes: Ints, before_head: Ints, lines: _Lines) -> None:
    owner = np.minimum(np.searchsorted(lines.ends, quotes), len(lines.ends) - 1)
    in_fields = quotes > lines.heads[owner]
    number = np.arange(len(quotes)) - before_head[owner]
    opening = (number & 1) == 0
    after = buf[np.minimum(quotes + 1, len(buf) - 1)]
    fits = np.where(
        opening, buf[np.maximum(quotes - 1, 0)] == _EQUALS, (after == _COMMA) | (after == _SPACE) | (after == _LF)
    )
    lines.good[owner[in_fields & ~fits]] = False


@dataclass(frozen=True, slots=True)
class _Fields:
    """Field keys and values as spans in the buffer, with the line each belongs to."""

    owner: Ints
    key_starts: Ints
    equals: Ints
    value_ends: Ints


def _check_order(
    buf: npt.NDArray[np.uint8], marks: Ints, owner: Ints, lines: _Lines
) -> tuple[_Fields, tuple[Ints, Ints]]:
    """`= , = , =` and then the line's end or one space before it: the spans of fields, and of timestamps by line."""
    kind = buf[marks]
    counts = np.bincount(owner, minlength=len(lines.ends))
    first = np.cumsum(counts) - counts
    even = ((np.arange(len(marks)) - first[owner]) & 1) == 0
    is_equals, is_lf = kind == _EQUALS, kind == _LF
    wrong = (is_equals != even) & ~is_lf
    before = np.empty_like(marks)
    before[:1] = 0
    before[1:] = marks[:-1]
    starts_line = np.zeros(len(marks), dtype=np.bool_)
    starts_line[first[counts > 0]] = True
    before[starts_line] = lines.heads[owner[starts_line]]
    before_kind = np.where(starts_line, _SPACE, buf[before])
    wrong |= is_lf & ~((before_kind == _EQUALS) | ((before_kind == _SPACE) & ~starts_line))
    wrong |= marks - before < 2
    wrong |= (before_kind == _SPACE) & ~starts_line & ~is_lf
    lines.good[owner[wrong]] = False
    sound = lines.good[owner]
    stamped = is_lf & (before_kind == _SPACE) & sound
    stamp_starts = np.full(len(lines.ends), -1, dtype=np.int64)
    stamp_starts[owner[stamped]] = before[stamped] + 1
    at = np.flatnonzero(is_equals & sound)
    fields = _Fields(owner[at], before[at] + 1, marks[at], marks[np.minimum(at + 1, len(marks) - 1)])
    return fields, (stamp_starts, lines.ends)


def _series_keys(buf: npt.NDArray[np.uint8], lines: _Lines) -> tuple[list[bytes], npt.NDArray[np.int32]]:
    """Series keys by distinct head; lines whose head is not simple become messy. Index -1 where a line is not good."""
    rows = np.flatnonzero(lines.good)
    index = np.full(len(lines.good), -1, dtype=np.int32)
    if not len(rows):
        return [], index
    encoded = Tokens.gather(buf, lines.starts[rows], lines.heads[rows]).encode()
    heads: list[bytes] = encoded.dictionary.to_pylist()
    if len(_known_heads) > _HEADS_KEPT:
        _known_heads.clear()
    keys: dict[bytes, int] = {}
    key_of = np.full(len(heads), -1, dtype=np.int32)
    for n, head in enumerate(heads):
        key = _known_heads.get(head, head)
        if key is head:
            key = _known_heads[head] = _series_key(head)
        if key is not None:
            key_of[n] = keys.setdefault(key, len(keys))
    index[rows] = key_of[np.asarray(encoded.indices)]
    lines.good[index < 0] = False
    return list(keys), index


def _series_key(head: bytes) -> bytes | None:
    if not _SIMPLE_HEAD.match(head) or len(head) > scalar.MAX_KEY_LENGTH // 2:
        return None
    try:
        end, key = scalar.scan_key(head + b" ")
    except scalar.LineError:
        return None
    return key if end == len(head) else None


def _stamps(
    buf: npt.NDArray[np.uint8], lines: _Lines, stamps: tuple[Ints, Ints], multiplier_ns: int, now_ns: int
) -> Ints:
    times = np.full(len(lines.good), now_ns - now_ns % multiplier_ns, dtype=np.int64)
    rows = np.flatnonzero(lines.good & (stamps[0] >= 0))
    if len(rows):
        values, sound = Tokens.gather(buf, stamps[0][rows], stamps[1][rows]).integers()
        limit = MAX_TIME_NS // multiplier_ns
        sound &= (values <= limit) & (values >= -limit)
        lines.good[rows[~sound]] = False
        times[rows] = np.where(sound, values, 0) * multiplier_ns
    return times


def _assemble(
    buf: npt.NDArray[np.uint8],
    lines: _Lines,
    fields: _Fields,
    stamps: tuple[Ints, Ints],
    line_starts: Ints,
    multiplier_ns: int,
    now_ns: int,
) -> Ordinary:
    assert MAX_TIME_NS == -MIN_TIME_NS  # noqa: S101 - _stamps checks both bounds with one number
    keys, series = _series_keys(buf, lines)
    times = _stamps(buf, lines, stamps, multiplier_ns, now_ns)
    long_keys = fields.owner[fields.equals - fields.key_starts > scalar.MAX_KEY_LENGTH // 4]
    lines.good[long_keys] = False
    sound = np.flatnonzero(lines.good[fields.owner])
    owner = fields.owner[sound]
    names = Tokens.gather(buf, fields.key_starts[sound], fields.equals[sound]).encode()
    values, refused = read_values(buf, fields.equals[sound] + 1, fields.value_ends[sound], names)
    lines.good[owner[refused]] = False
    rows = np.flatnonzero(lines.good)
    row_of = np.full(len(lines.good), -1, dtype=np.int64)
    row_of[rows] = np.arange(len(rows))
    columns: list[BatchColumn] = []
    for name, type_, at, column in values:
        target = row_of[owner[at]]
        if len(target) and target.min() < 0:
            kept = np.flatnonzero(target >= 0)
            target, column = target[kept], take(column, kept)
        if len(target):
            columns.append(BatchColumn(name, type_, target, column))
    messy = lines.index[~lines.good]
    return Ordinary(line_starts, messy, lines.index[rows], lines.ends[rows], keys, series[rows], times[rows], columns)
