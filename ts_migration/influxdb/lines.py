"""Lines of a body that the server refused: bodies cut between lines, and the lines that it named. No requests here."""

import re

_NAMED = re.compile(rb"(?:^|\n)unable to parse '")
_QUOTE, _BACKSLASH, _SPACE, _EQUALS, _COMMA, _LINE_FEED = b'"\\ =,\n'


def split_lines(body: bytes) -> list[bytes]:
    """Lines of a body as the server's scanner cuts them: a line feed inside a quoted field value does not end a line.

    Source of the rule: scanLine in influxdb 2.x models/points.go.
    """
    if b'"' not in body:
        return [line for line in body.split(b"\n") if line]
    lines: list[bytes] = []
    start = 0
    while start < len(body):
        end = body.find(b"\n", start)
        end = len(body) if end < 0 else end
        if body.find(b'"', start, end) >= 0:
            end = _line_end(body, start)
        if end > start:
            lines.append(body[start:end])
        start = end + 1
    return lines


def _line_end(body: bytes, start: int) -> int:
    """Where the line that begins at `start` ends."""
    at, quoted, in_fields, equals, commas = start, False, False, 0, 0
    while at < len(body):
        byte = body[at]
        if byte == _BACKSLASH and at + 2 < len(body):
            at += 2
            continue
        if byte == _LINE_FEED and not quoted:
            return at
        if byte == _SPACE:
            in_fields = True
        elif in_fields and not quoted and byte == _EQUALS:
            equals += 1
        elif in_fields and not quoted and byte == _COMMA:
            commas += 1
        elif in_fields and byte == _QUOTE and equals > commas:
            quoted = not quoted
        at += 1
    return at


def named_lines(message: str, lines: list[bytes]) -> dict[int, str]:
    """Which lines a 400 names, with the server's reason for each: index in `lines` -> reason.

    The message has `unable to parse '<line>': <reason>` for every bad line, joined by line feeds, and nothing is
    escaped: so a line is looked for among those that were sent.
    """
    indices: dict[bytes, list[int]] = {}
    for index, line in enumerate(lines):
        indices.setdefault(line, []).append(index)
    raw = message.encode("utf-8", "surrogateescape")
    starts = list(_NAMED.finditer(raw))
    found: dict[int, str] = {}
    for position, match in enumerate(starts):
        end = starts[position + 1].start() if position + 1 < len(starts) else len(raw)
        told = raw[match.end() : end]
        cut = told.find(b"': ")
        while cut >= 0:
            known = indices.get(told[:cut])
            if known:
                reason = told[cut + 3 :].decode("utf-8", "replace").strip()
                found.update(dict.fromkeys(known, reason))
                break
            cut = told.find(b"': ", cut + 1)
    return found
