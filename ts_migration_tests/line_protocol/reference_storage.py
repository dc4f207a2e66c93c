"""What InfluxDB 2 keeps of points that its parser took: types, limits, series, and the answer that the client gets.

The second half of `reference_parser`, with the same rule: nothing of the product is used here.
"""

from dataclasses import dataclass, field

from ts_migration_tests.line_protocol.reference_parser import RawPoint, ServerDies, ValueUnreadable, read

Value = float | int | bool | bytes
MAX_STRING_BYTES = 1_048_576
KEY_SEPARATOR = b"#!~#"
"""What the storage's files put between series key and field key, and where they cut them apart again."""
NOW = None
"""Time of a point that came without one."""

Series = tuple[bytes, tuple[tuple[bytes, bytes], ...]]
"""Measurement and tags, sorted by key."""


@dataclass
class Outcome:
    """What a body became.

    Attributes:
        status: the HTTP status; 0 where the server dies.
        reasons: why something was refused, dropped or stripped.
        types: (measurement, field key) -> type.
        series: every series that has been made, also where its points cannot be found again.
        rows: values that are read back, by series and time.
    """

    status: int = 204
    reasons: list[str] = field(default_factory=list)
    types: dict[tuple[bytes, bytes], str] = field(default_factory=dict)
    series: set[Series] = field(default_factory=set)
    rows: dict[tuple[Series, int | None], dict[bytes, Value]] = field(default_factory=dict)

    def _problem(self, status: int, reason: str) -> None:
        self.status = status
        self.reasons.append(reason)


def write(body: bytes, version: str = "2.9.1") -> Outcome:
    """What an empty bucket of InfluxDB 2.7.11 or 2.9.1 holds after a body, all of it within one shard."""
    points, refused = read(body)
    outcome = Outcome()
    if refused:
        outcome._problem(400, "\n".join(f"unable to parse '{shown(line)}': {why}" for line, why in refused))
        return outcome
    kept = [point for point in points if _admit(point, outcome, version)]
    if outcome.status == 500:
        return outcome
    try:
        for point in kept:
            _keep(point, outcome)
    except ServerDies as error:
        outcome._problem(0, str(error))
    except ValueUnreadable as error:
        outcome._problem(500, str(error))
    return outcome


def shown(text: bytes) -> str:
    """Bytes as the server's JSON shows them: each that is no UTF-8 becomes U+FFFD."""
    loose = text.decode("utf-8", "surrogateescape")
    return "".join("\ufffd" if 0xDC80 <= ord(character) <= 0xDCFF else character for character in loose)


def _admit(point: RawPoint, outcome: Outcome, version: str) -> bool:
    """Whether a point gets to the storage; field types are settled in the order of the lines."""
    spoken = [each for each in point.fields if each.key != b"time"]
    if len(spoken) < len(point.fields) and (version == "2.9.1" or not spoken):
        outcome._problem(422, 'Field "time" has been stripped from point')
    if not spoken:
        return False
    for each in spoken:
        # Without its escapes [tsdb/field_validator.go]. Short ones are not even read, however broken they are.
        if each.type == "string" and len(each.text) > MAX_STRING_BYTES and len(each.value) > MAX_STRING_BYTES:
            outcome._problem(422, f"the value of {each.key!r} is longer than {MAX_STRING_BYTES} bytes")
            return False
    outcome.series.add(_series(point))
    for each in spoken:
        known = outcome.types.setdefault((point.measurement, each.key), each.type)
        if known != each.type:
            status = 422 if version == "2.9.1" else 500
            outcome._problem(status, f"field type conflict: {each.key!r} is {each.type}, already exists as {known}")
            return False
    return True


def _keep(point: RawPoint, outcome: Outcome) -> None:
    """The values of a point, where a query finds them again.

    A query builds the key anew from name and tags, these in the order of the line's sorted key: values lie under the
    bytes of the line, and where the two differ they are not found.
    """
    values = {each.key: each.value for each in point.fields if each.key != b"time"}
    if point.key == key_of(point.measurement, point.tags) and KEY_SEPARATOR not in point.key:
        outcome.rows.setdefault((_series(point), point.time_ns), {}).update(values)


def _series(point: RawPoint) -> Series:
    return point.measurement, tuple(sorted(point.tags.items()))


def key_of(measurement: bytes, tags: dict[bytes, bytes]) -> bytes:
    """The series key that the server makes of a name and tags."""
    key = measurement.replace(b",", b"\\,").replace(b" ", b"\\ ")
    for tag in tags.items():
        key += b",%b=%b" % tuple(text.replace(b",", b"\\,").replace(b" ", b"\\ ").replace(b"=", b"\\=") for text in tag)
    return key
