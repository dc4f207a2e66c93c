"""Names that line protocol of InfluxDB 2 carries exactly, and how they are escaped: measurements, tag and field keys.

Values of rows are in `encoder`. Rules: facts of InfluxDB, section 1, each seen on a real 2.7.11 and 2.9.1.
"""

import re

RESERVED_TAGS = frozenset({"time", "_field", "_measurement", "_time", "_value", "_start", "_stop"})
"""The server refuses the first three; Flux gives the others' columns a meaning of its own and would hide the tag."""
RESERVED_FIELDS = frozenset({"time", "_field", "_measurement", "_time", "_value"})
"""`time` is stripped by the server; the others are written and then ambiguous in Flux."""

KEY_SEPARATOR = "#!~#"
"""What InfluxDB's files put between series key and field key: a series key that holds it is cut there [tsm1 engine]."""

_TAB_FIRST = "starts with a tab, which InfluxDB skips: the name would lose it"
_ODD_BACKSLASHES = r"(?<!\\)(?:\\\\)*\\"
"""Backslashes of a name of which, with the one that escapes what follows, the server's scanners make whole pairs."""
_MEASUREMENT_MISREAD = re.compile(rf'\\[="]|{_ODD_BACKSLASHES} ')
_TAG_KEY_MISREAD = re.compile(rf"{_ODD_BACKSLASHES} ")
_FIELD_KEY_MISREAD = re.compile(rf'\\"|{_ODD_BACKSLASHES}[,= ]')


def escaped_measurement(name: str) -> str:
    """A measurement as it stands in a line: comma and space escaped. `=` stays: the server would keep its escape."""
    return name.replace(",", "\\,").replace(" ", "\\ ")


def escaped_key(name: str) -> str:
    """A tag key or field key as it stands in a line: comma, equals sign and space escaped."""
    return name.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def measurement_problem(name: str) -> str | None:
    """Why a measurement's name cannot be written exactly, or None."""
    if name.startswith("#"):
        return "starts with '#': InfluxDB takes the line for a comment and drops it in silence"
    if name.startswith("\t"):
        return _TAB_FIRST
    if _MEASUREMENT_MISREAD.search(name):
        return "holds a backslash before an equals sign, quote or space, which InfluxDB misreads"
    return _problem(name)


def tag_key_problem(name: str) -> str | None:
    """Why a tag key cannot be written exactly, or None."""
    if name in RESERVED_TAGS:
        return "is reserved by InfluxDB"
    if _TAG_KEY_MISREAD.search(name):
        return "holds a backslash before a space, which InfluxDB misreads"
    return _problem(name)


def field_key_problem(name: str) -> str | None:
    """Why a field key cannot be written exactly, or None."""
    if name in RESERVED_FIELDS:
        return "is reserved by InfluxDB"
    if name.startswith("\t"):
        return _TAB_FIRST
    if _FIELD_KEY_MISREAD.search(name):
        return "holds a backslash before a comma, equals sign, space or quote, which InfluxDB misreads"
    return _problem(name)


def _problem(name: str) -> str | None:
    if not name:
        return "is empty"
    if name.endswith("\\"):
        return "ends in a backslash, which no spelling of line protocol can say"
    if "\n" in name:
        return "holds a line feed, which ends the line"
    if "\0" in name or KEY_SEPARATOR in name:
        return f"holds NUL or {KEY_SEPARATOR}, which InfluxDB uses inside its own keys"
    return None
