"""Names and texts quoted for InfluxQL, Flux and delete predicates. Line protocol has escapes of its own, elsewhere.

Rules: influxql's QuoteIdent and QuoteString (backslash, quote and line feed are escaped, nothing else); a delete
predicate is read by influxql's scanner; Flux strings also interpolate `${`.
"""

from collections.abc import Mapping

from ts_migration.windows import Window


def identifier(name: str) -> str:
    """A measurement, field or tag key in double quotes for InfluxQL, and a value in a delete predicate."""
    return '"' + name.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"') + '"'


def string(text: str) -> str:
    """A text in single quotes for InfluxQL, as tag values are compared."""
    return "'" + text.replace("\\", "\\\\").replace("\n", "\\n").replace("'", "\\'") + "'"


def flux_string(text: str) -> str:
    """A text in double quotes for Flux."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
    for character, escape in (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        escaped = escaped.replace(character, escape)
    return f'"{escaped}"'


def in_window(window: Window) -> str:
    """The half-open range as an InfluxQL condition, both ends bound: an open end means now() to some statements."""
    return f"time >= {window.start_ns} AND time < {window.end_ns}"


def predicate(measurement: str, tags: Mapping[str, str] | None = None) -> str:
    """A delete predicate for a measurement and, with tags, some of its series. It knows only `=`, `!=` and AND."""
    terms = {"_measurement": measurement, **(tags or {})}
    return " AND ".join(
        f"{key if key == '_measurement' else identifier(key)}={identifier(value)}" for key, value in terms.items()
    )
