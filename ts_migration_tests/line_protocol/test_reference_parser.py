"""The judge is judged first: the reference parser says of every recorded input what real servers said."""

from collections import Counter
from typing import Any

import pytest

from ts_migration_tests.line_protocol.reference_parser import read
from ts_migration_tests.line_protocol.reference_storage import Outcome, key_of, shown, write
from ts_migration_tests.local.influxdb.verdicts import Verdict, verdicts

INPUTS = 6_615
RECORDED_IN = "1795"
"""First digits of the servers' clock, in s, when the verdicts were recorded: rows without a time got it."""


def test_every_recorded_input_has_the_status_that_both_versions_gave_it() -> None:
    wrong = []
    for verdict in verdicts():
        for version, status in verdict.statuses.items():
            found = write(verdict.body, version)
            if found.status != status:
                wrong.append((version, verdict.body, status, found.status, found.reasons))
    assert wrong == []
    assert len(verdicts()) == INPUTS
    told = Counter(verdict.statuses["2.9.1"] for verdict in verdicts())
    assert told == {400: 6_146, 204: 445, 500: 20, 422: 2, 0: 2}


def test_every_refusal_names_the_same_lines_with_the_same_words() -> None:
    refused = [verdict for verdict in verdicts() if verdict.status == 400]
    assert [write(verdict.body).reasons[0] for verdict in refused] == [verdict.message for verdict in refused]


def test_what_kills_a_server_is_called_deadly() -> None:
    deadly = [verdict.body for verdict in verdicts() if write(verdict.body).status == 0]
    assert sorted(deadly) == [b'0 \\\\="="', b'm \\0=","=3,"="']


def test_what_a_real_server_stored_is_what_the_parser_read() -> None:
    stored = [verdict for verdict in verdicts() if verdict.stored is not None]
    assert len(stored) == 447
    wrong = [verdict.body for verdict in stored if _recorded(verdict) != _told(write(verdict.body))]
    assert wrong == []


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        (b'f"q="x=1" 1', b'f"q'),
        (b'"f"="x=1" 1', b'"f"'),
        (b'f\\x="a=b" 1', b"f\\x"),
        (b'f\\\\x="a=b" 1', b"f\\\\x"),
        (b'f\\ x="a=b" 1', b"f x"),
        (b'f\\=x="a=b" 1', b"f=x"),
        (b'f\\,x="a=b" 1', b"f,x"),
    ],
)
def test_field_keys_that_real_servers_took_are_read_back_as_they_read_them_back(sent: bytes, key: bytes) -> None:
    assert set(write(b"m " + sent).types) == {(b"m", key)}


@pytest.mark.parametrize(
    ("sent", "status"),
    [(b"f\\=1 1", 400), (b'f\\="x" 1', 400), (b"f\\\\=1 1", 400), (b'f\\\\="x" 1', 400), (b'f\\\\="a=b" 1', 500), (b'f\\\\="=" 1', 0)],
)  # fmt: skip
def test_a_field_key_that_ends_in_a_backslash_is_refused_or_deadly_as_on_real_servers(sent: bytes, status: int) -> None:
    assert write(b"m " + sent).status == status


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"m,a=x f=1 10\r", "bad timestamp"),
        (b"m,a=x f=1\r", "invalid number"),
        (b"m,a=x\\ f=1 10", "invalid tag format"),
        (b"m,a=x f=9223372036854775808i 1", "unable to parse integer 9223372036854775808: strconv.ParseInt: parsing "),
        (b"m,a=x f=NaN 1", "invalid number"),
        (b"m,a=x f=-Inf 1", "invalid number"),
        (b"m,a=x f=1e309 1", "invalid float"),
        (b"m,a=x f=1 9223372036854775807", "time outside range"),
        (b"m,b=1,a=2,b=3 f=1 10", "duplicate tags"),
        (b"m,time=1 f=1 10", 'cannot use reserved tag key "time"'),
        (b"m,a=" + b"x" * 65_532 + b" f=1", "max key length exceeded: 65536 > 65535"),
        (b"m,a=" + b"x" * 65_527 + b" f=1", "max key length exceeded: 65536 > 65535"),
    ],
)
def test_lines_of_the_probe_are_refused_with_the_probed_reason(line: bytes, reason: str) -> None:
    points, refused = read(line)
    assert points == []
    assert refused[0][1].startswith(reason)


def _recorded(verdict: Verdict) -> tuple[object, ...]:
    stored = verdict.stored
    assert stored is not None
    types = {(each["name"], key, kind) for each in stored["fields"] for key, kind in each["values"]}
    series = {key for each in stored["series"] for (key,) in each["values"]}
    rows = [
        (each["name"], each.get("tags", {}), _time(row[0]), _values(dict(zip(each["columns"], row, strict=True))))
        for each in stored["rows"]
        for row in each["values"]
    ]
    return types, series, sorted(rows, key=repr)


def _time(recorded: int) -> int | None:
    return None if str(recorded).startswith(RECORDED_IN) else recorded


def _values(row: dict[str, Any]) -> dict[str, object]:
    """The recording kept JSON: 1 and 1.0 are one there, and -0 is 0. Absent values are null."""
    return {
        key: value + 0.0 if isinstance(value, int | float) and not isinstance(value, bool) else value
        for key, value in sorted(row.items())
        if value is not None and key != "time"
    }


def _told(outcome: Outcome) -> tuple[object, ...]:
    """An outcome as the recorder asked for it: `SELECT * FROM /.*/`, which names and types columns over all of them."""
    types = {(shown(name), shown(key), kind) for (name, key), kind in outcome.types.items()}
    series = {shown(key_of(name, dict(tags))) for name, tags in outcome.series}
    rows = []
    for ((name, tags), time_ns), values in outcome.rows.items():
        texts: dict[str, Any] = {}
        for key, value in values.items():
            kinds = {kind for (_, other), kind in outcome.types.items() if other == key}
            if isinstance(value, bool | bytes) and not kinds <= {"string", "boolean"}:
                continue  # a column that is a number elsewhere shows numbers only
            texts[shown(key) or "val0"] = shown(value) if isinstance(value, bytes) else value
        if texts:
            told_tags = {shown(key): shown(value) for key, value in tags}
            rows.append((shown(name), told_tags, time_ns, _values(texts)))
    return types, series, sorted(rows, key=repr)
