"""Names and values as they are, without power over what shows them.

A tag may hold anything: terminal escapes, marks that turn the reading direction, characters that are not seen. Each of
those is shown by its code. What HTML itself would read is escaped by the template engine, not here.
"""

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Control, format (all bidirectional marks), surrogate, private use, line and paragraph separators."""


def visible(text: str) -> str:
    """A text on one line whose hidden characters are written as `\\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_code(each) if unicodedata.category(each) in _HIDDEN else each for each in text)


def shortened(text: str, length: int) -> str:
    """At most so many characters, cut in the middle: the beginning names a point, the end has its value."""
    if len(text) <= length:
        return text
    head = length * 2 // 3
    return f"{text[:head]} … {text[len(text) - (length - head) :]}"


def _code(character: str) -> str:
    point = ord(character)
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"
