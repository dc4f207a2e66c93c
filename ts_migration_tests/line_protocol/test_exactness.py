"""The law of the conversion: any table is refused for a reason that holds, or every value of it arrives to the bit, or
its row is set apart for a reason that holds. Both ends are told by others: `told` in plain Python, the reference parser.
"""

import itertools
import os
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, event, example, given, settings

from ts_migration.config import MappingOptions
from ts_migration.errors import Refused
from ts_migration.influxdb.lines import split_lines
from ts_migration.line_protocol.encoder import Encoded, encode
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.line_protocol.names import field_key_problem, measurement_problem, tag_key_problem
from ts_migration.line_protocol.rejects import Reason
from ts_migration.line_protocol.resolution import resolve
from ts_migration.line_protocol.rewrites import say
from ts_migration.line_protocol.rules import Rules
from ts_migration_tests.line_protocol.points import Point, parsed
from ts_migration_tests.line_protocol.reference_parser import cut, read
from ts_migration_tests.line_protocol.reference_storage import write
from ts_migration_tests.line_protocol.tables import (
    BIGINT,
    DOUBLE,
    NUMBER,
    Row,
    Table,
    faulty_tables,
    long_tables,
    rewrite_rules,
    tables,
)
from ts_migration_tests.line_protocol.told import (
    PROBE,
    may_be_refused,
    must_be_refused,
    names_of,
    point_of,
    reads_back,
    rewritten_row,
    rightly_refused,
    sayable,
)

_LONG = bool(os.environ.get("LONG") or os.environ.get("FULL"))
_SETTINGS = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)

_WIDENED_BESIDE_A_DOUBLE = Table(
    ("host",),
    {"cpu": DOUBLE},
    ("plant",),
    {"cpu": (BIGINT, DOUBLE)},
    MappingOptions(types={"cpu": "float"}),
    "m",
    tuple(
        Row({"host": "a", "measure_name": name, column: value, "time_ns": time}, multi=name == "plant")
        for name, column, value, time in [
            ("plant", "cpu", 1.5, 0),
            ("cpu", "measure_value::bigint", 2, 0),
            ("cpu", "measure_value::double", 2.5, 1),
            ("cpu", "measure_value::bigint", 2**53 + 1, 2),
        ]
    ),
)
"""`types` speaks of the integers of a single measure, beside a column of multi-measure rows that is a float already."""

_WIDENED_BESIDE_AN_INTEGER = Table(
    (),
    {},
    (),
    {"wide": (BIGINT,), "exact": (BIGINT,)},
    MappingOptions(types={"wide": "float"}),
    "m",
    tuple(
        Row({"measure_name": name, "measure_value::bigint": 2**53 + 1, "time_ns": time}, multi=False)
        for time, name in enumerate(["wide", "exact"])
    ),
)
"""Two single measures share a column: one is widened, the other stays as it is."""

_NAMED_LIKE_A_PATTERN = Table(
    (),
    {"^x$": DOUBLE, "x": DOUBLE},
    ("m",),
    {},
    MappingOptions(),
    "m",
    (Row({"measure_name": "m", "^x$": float("nan"), "x": 1.5, "time_ns": 1}, multi=True),),
)
"""Methods of a polars series take its name for a pattern, as columns do."""


@settings(_SETTINGS, max_examples=10_000 if _LONG else 500)
@example(_NAMED_LIKE_A_PATTERN, {"float_not_finite": "drop"})
@example(_WIDENED_BESIDE_A_DOUBLE, {"integer_not_exact": "round"})
@example(_WIDENED_BESIDE_AN_INTEGER, {"integer_not_exact": "round"})
@given(tables(), rewrite_rules)
def test_any_table_is_refused_for_a_true_reason_or_arrives_to_the_bit(table: Table, rules: Rules) -> None:
    mapping = _mapping_or_confirmed_refusal(table)
    if mapping is not None:
        _holds(table, mapping)
        _follows_rules(table, mapping, rules)


@settings(_SETTINGS, max_examples=200 if _LONG else 10)
@given(long_tables(), rewrite_rules)
def test_strings_and_keys_at_the_servers_limits_arrive_or_are_set_apart(table: Table, rules: Rules) -> None:
    mapping = _mapping_or_confirmed_refusal(table)
    if mapping is not None:
        _holds(table, mapping)
        _follows_rules(table, mapping, rules)


@settings(_SETTINGS, max_examples=2_000 if _LONG else 100)
@given(faulty_tables(), rewrite_rules)
def test_rows_that_cannot_be_said_are_rewritten_as_the_rules_say_or_stay_apart(table: Table, rules: Rules) -> None:
    mapping = resolve(table.schema, table.options, table.measurement)
    _holds(table, mapping)
    _follows_rules(table, mapping, rules)


def _mapping_or_confirmed_refusal(table: Table) -> Mapping | None:
    unsayable = {(place, name) for place, name in names_of(table) if not sayable(place, name)}
    try:
        mapping = resolve(table.schema, table.options, table.measurement)
    except Refused as error:
        event("refused")
        text = str(error)
        told = {(place, name) for place, name in names_of(table) if f"  - {place} {name!r} " in text}
        assert told == unsayable
        assert unsayable or may_be_refused(table), text
        return None
    assert unsayable == set()
    assert not must_be_refused(table)
    return mapping


def _holds(table: Table, mapping: Mapping) -> None:
    encoded = encode(table.frame, mapping)
    told = [point_of(table, row) for row in table.rows]
    apart = dict(
        zip(
            encoded.rejects.rows[NUMBER],
            zip(encoded.rejects.reasons, encoded.rejects.columns, strict=True),
            strict=True,
        )
    )
    accepted = encoded.accepted[NUMBER].to_list()
    assert sorted([*accepted, *apart]) == list(range(len(table.rows)))
    assert accepted == sorted(accepted)
    points = [told[number] for number in accepted if told[number] is not None]
    body = bytes(encoded.text)
    assert sorted(parsed(body), key=repr) == sorted(points, key=repr)
    for number, (reason, column) in apart.items():
        event(Reason(reason).name)
        assert rightly_refused(table, table.rows[number], Reason(reason), column), (reason, column)
    assert encoded.points + len(encoded.rejects) + encoded.empty == len(table.rows)
    assert encoded.empty == sum(told[number] is None for number in accepted)
    assert encoded.counts == Counter(key for _, _, _, fields in points for key, _, _ in fields)
    _kept_by_servers(body, points)
    _laid_out(body, encoded)
    if mapping.injective:
        _no_rows_meet(table, told)
    event("points" if points else "no points")


def _follows_rules(table: Table, mapping: Mapping, rules: Rules) -> None:
    """Rows that cannot be said arrive as the rules rewrite them, or stay apart for a reason that the rules leave."""
    plain, result = encode(table.frame, mapping), say(table.frame, mapping, rules, encode)
    assert bytes(result.batches[0].text) == bytes(plain.text)
    left = result.rejects
    apart = {
        number: (reason, column)
        for number, reason, column in zip(left.rows[NUMBER], left.reasons, left.columns, strict=True)
    }
    written = [number for batch in result.batches[1:] for number in batch.accepted[NUMBER].to_list()]
    assert sorted([*written, *apart]) == sorted(plain.rejects.rows[NUMBER])
    points = [point_of(table, rewritten_row(table, table.rows[number], rules)) for number in written]
    found = [point for batch in result.batches[1:] for point in parsed(bytes(batch.text))]
    assert sorted(found, key=repr) == sorted((point for point in points if point), key=repr)
    for number, (reason, column) in apart.items():
        row = rewritten_row(table, table.rows[number], rules)
        assert rightly_refused(table, row, Reason(reason), column), (reason, column, rules)
    changed = Counter(
        rule
        for number in written
        for rule in rules
        if rewritten_row(table, table.rows[number], {rule: rules[rule]}) != table.rows[number]
    )
    assert result.rewritten == changed
    for rule in changed:
        event(f"rewritten by {rule}")


def _kept_by_servers(body: bytes, points: list[Point]) -> None:
    """Both versions keep all of a body, and a query finds all of it again."""
    for version in ("2.7.11", "2.9.1"):
        outcome = write(body, version)
        assert (outcome.status, outcome.reasons) == (204, [])
        assert len(outcome.rows) == len({point[:3] for point in points})


def _laid_out(body: bytes, encoded: Encoded) -> None:
    """Lines are the server's lines and the loader's, sorted by series and time, each with its tags in order."""
    lines = encoded.lines()
    assert [line for line in cut(body) if line] == lines == split_lines(body)
    assert body == b"".join(line + b"\n" for line in lines)
    raw, _ = read(body)
    places = [(point.key + b" ", point.time_ns) for point in raw]
    assert places == sorted(places)
    assert [time for _, time in places] == encoded.times.tolist()
    for line, point in zip(lines, raw, strict=True):
        assert line.startswith(point.key + b" ")  # the parser sorts tags, and found them so


def _no_rows_meet(table: Table, told: list[Point | None]) -> None:
    """An injective mapping never makes one value of two records of the source."""
    seen: dict[object, object] = {}
    for row, point in zip(table.rows, told, strict=True):
        record = (row.name, tuple(row.values[name] or None for name in table.dimensions), row.values["time_ns"])
        for key, _, _ in point[3] if point else ():
            assert seen.setdefault((point[1:3], key), record) == record


def test_every_short_tag_value_of_special_characters_is_set_apart_exactly_where_it_is_misread() -> None:
    texts = ["".join(each) for size in range(1, 5) for each in itertools.product('\\ ,="a', repeat=size)]
    rows = tuple(Row({"d": text, "measure_name": "m", "f": 1.0, "time_ns": 1}, multi=True) for text in texts)
    table = Table(("d",), {"f": DOUBLE}, ("m",), {}, MappingOptions(keep_measure_name=False), "m", rows)
    encoded = encode(table.frame, resolve(table.schema, table.options, table.measurement))
    strings = [[(key, "string", PROBE)] for key in ("f", 'f"')]
    apart = {text for text in texts if not all(reads_back("m", {"d": text}, each) for each in strings)}
    assert set(encoded.rejects.rows["d"]) == apart
    assert 0 < len(apart) < len(texts)


@pytest.mark.parametrize(
    ("place", "problem"), [("measurement", measurement_problem), ("tag", tag_key_problem), ("field", field_key_problem)]
)
def test_every_short_name_of_special_characters_is_refused_exactly_where_it_is_misread(
    place: str, problem: Callable[[str], str | None]
) -> None:
    names = ["".join(each) for size in range(1, 4) for each in itertools.product('\\ ,="a#\t\n', repeat=size)]
    refused = {name for name in names if problem(name)}
    assert refused == {name for name in names if not sayable(place, name)}
    assert 0 < len(refused) < len(names)
