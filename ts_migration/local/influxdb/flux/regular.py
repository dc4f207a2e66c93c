"""Regular expressions of Go (RE2) as Python's, where both mean the same.

Anything that one has and the other has not, or reads differently, is refused.
"""

import re

from ts_migration.local.influxdb.flux.errors import ValueProblem

_ESCAPES_OF_BOTH = set("dDwWsSbBnrtfvaA.*+?()[]{}|^$\\/-\"'`=!<>:;,@#%&~_ ")


def compile_pattern(text: str) -> re.Pattern[str]:
    """The pattern between the slashes, `\\/` standing for a slash.

    Raises ValueProblem for what is no pattern or would not mean the same in Go."""
    if re.search(r"\(\?[is]*i[is]*[:)]", text) and not text.isascii():
        raise ValueProblem(f"letters beyond ASCII without case in /{text}/ are not supported by the embedded InfluxDB")
    out: list[str] = []
    position, in_class = 0, False
    while position < len(text):
        char = text[position]
        if char == "\\":
            out.append(_escape(text, position))
            position += 4 if text[position + 1 : position + 2] == "x" else 2
            continue
        if in_class:
            if text.startswith("[:", position):
                raise ValueProblem(f"POSIX classes in /{text}/ are not supported by the embedded InfluxDB")
            in_class = char != "]"
            out.append("\\[" if char == "[" else char)
        elif char == "[":
            in_class = True
            skip = 2 if text[position + 1 : position + 2] == "^" else 1
            out.append(text[position : position + skip])
            position += skip
            if text[position : position + 1] == "]":
                out.append("\\]")
                position += 1
            continue
        elif char == "$":
            out.append(r"\Z")
        elif char == "(" and text.startswith("(?", position):
            out.append(_group(text, position))
        elif text.startswith("{,", position):
            raise ValueProblem(f"the repetition in /{text}/ is not supported by the embedded InfluxDB")
        elif char in "*+?}" and text[position + 1 : position + 2] == "+":
            raise ValueProblem(f"invalid nested repetition operator in /{text}/")
        else:
            out.append(char)
        position += 1
    try:
        return re.compile("".join(out), re.ASCII)
    except re.error as error:
        raise ValueProblem(f"error parsing regexp /{text}/: {error}") from error


def _escape(text: str, position: int) -> str:
    follower = text[position + 1 : position + 2]
    if follower == "/":
        return "/"
    if follower == "z":
        return r"\Z"
    if follower == "x" and re.fullmatch(r"[0-9a-fA-F]{2}", text[position + 2 : position + 4]):
        return text[position : position + 4]
    if follower in _ESCAPES_OF_BOTH and follower:
        return "\\" + follower
    raise ValueProblem(f"the escape \\{follower} in /{text}/ is not supported by the embedded InfluxDB")


def _group(text: str, position: int) -> str:
    if text.startswith(("(?:", "(?P<", "(?i:", "(?s:"), position) or (position == 0 and re.match(r"\(\?[is]+\)", text)):
        return "("
    raise ValueProblem(
        f"the group {text[position : position + 3]} in /{text}/ is not supported by the embedded InfluxDB"
    )
