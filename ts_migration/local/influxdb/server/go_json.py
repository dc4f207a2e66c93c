"""JSON bodies with the errors of Go's decoder, which the server repeats to the client."""

import json
from typing import Any

_LITERALS = {"n": "null", "t": "true", "f": "false"}


def parse_json(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises ValueError with the words of encoding/json where those are known."""
    text = body.decode("utf-8", "replace")
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(_complaint(text, error)) from error
    if not isinstance(content, dict):
        kind = {list: "array", str: "string", bool: "bool", int: "number", float: "number"}.get(type(content), "null")
        raise ValueError(f"json: cannot unmarshal {kind} into Go value")
    return content


def _complaint(text: str, error: json.JSONDecodeError) -> str:
    start = len(text) - len(text.lstrip())
    if not text.strip():
        return "EOF"
    literal = _LITERALS.get(text[start])
    if literal is not None:
        for place, wanted in enumerate(literal):
            found = text[start + place : start + place + 1]
            if not found:
                return "unexpected EOF"
            if found != wanted:
                return f"invalid character {_quoted(found)} in literal {literal} (expecting {_quoted(wanted)})"
    if error.pos >= len(text):
        return "unexpected EOF"
    return f"invalid character {_quoted(text[error.pos])} looking for beginning of value"


def _quoted(char: str) -> str:
    return {"'": "'\\''", '"': "'\"'", "\n": "'\\n'", "\t": "'\\t'", "\r": "'\\r'"}.get(char, f"'{char}'")
