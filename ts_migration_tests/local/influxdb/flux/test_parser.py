"""The text of a query becomes the tree that Flux's grammar gives it, or an error with the place of the fault."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ts_migration.local.influxdb.flux import analyze, syntax
from ts_migration.local.influxdb.flux.errors import FluxError, ProgramError
from ts_migration.local.influxdb.flux.parser import parse
from ts_migration.local.influxdb.flux.regular import compile_pattern
from ts_migration.local.influxdb.flux.values import (
    Duration,
    Time,
    float_text,
    parse_duration,
    parse_time,
    time_text,
)
from ts_migration_tests.local.influxdb.flux.memory import MemoryPoints, ask


def expression(text: str) -> syntax.Node:
    (statement,) = parse(text).statements
    assert isinstance(statement, syntax.Expression)
    return statement.value


def shape(node: object) -> object:
    """The tree as nested lists, places left out."""
    match node:
        case syntax.Identifier():
            return node.name
        case syntax.Literal():
            return node.value
        case syntax.Binary() | syntax.Logical():
            return [node.operator, shape(node.left), shape(node.right)]
        case syntax.Unary():
            return [node.operator, shape(node.operand)]
        case syntax.Member():
            return [".", shape(node.target), node.name]
        case syntax.Pipe():
            return ["|>", shape(node.left), shape(node.call)]
        case syntax.Call():
            return [shape(node.function), {name: shape(value) for name, value in node.arguments}]
        case syntax.Conditional():
            return ["if", shape(node.test), shape(node.consequent), shape(node.alternate)]
        case syntax.FunctionNode():
            return ["=>", [parameter.name for parameter in node.parameters], shape(node.body)]
    raise AssertionError(node)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("1 + 2 * 3 ^ 4", ["+", 1, ["*", 2, ["^", 3, 4]]]),
        ("1 - 2 - 3", ["-", ["-", 1, 2], 3]),
        ("a or b and not c", ["or", "a", ["and", "b", ["not", "c"]]]),
        ("not exists r.x and y", ["and", ["not", ["exists", [".", "r", "x"]]], "y"]),
        ("-1h", ["-", Duration(0, 3600 * 10**9)]),
        ('r["a b"] =~ r.c', ["=~", [".", "r", "a b"], [".", "r", "c"]]),
        ("a |> f(n: 1) |> g()", ["|>", ["|>", "a", ["f", {"n": 1}]], ["g", {}]]),
        ("f(a)", ["f", {"a": "a"}]),
        ("(r) => r.x > 1.5 / 2.0", ["=>", ["r"], [">", [".", "r", "x"], ["/", 1.5, 2.0]]]),
        ("if a then 1 else if b then 2 else 3", ["if", "a", 1, ["if", "b", 2, 3]]),
        ("(1 + 2) * 3", ["*", ["+", 1, 2], 3]),
        ('"tab\\t \\"quoted\\" \\\\ \\x41"', 'tab\t "quoted" \\ A'),
        ("2023-01-01T02:03:04.5+01:00", Time(1672534984_500000000)),
        ("2023-01-01", Time(1672531200 * 10**9)),
        ("a // comment |> b()\n", "a"),
    ],
)
def test_operators_bind_as_flux_binds_them(text: str, tree: object) -> None:
    assert shape(expression(text)) == tree


def test_a_slash_is_a_division_after_an_operand_and_a_regular_expression_elsewhere() -> None:
    assert shape(expression("a / b / c")) == ["/", ["/", "a", "b"], "c"]
    regex = expression(r"/a\/b$/")
    assert isinstance(regex, syntax.Literal)
    assert regex.value.search("xa/b") and not regex.value.search("a/b\n")  # type: ignore[union-attr]


def test_places_count_bytes_from_one_with_an_exclusive_end() -> None:
    node = expression("  ção")
    assert str(node.place) == "1:3-1:8"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("from(", "error @1:6-1:6: expected a name, got EOF"),
        ("f(a: 1", "error @1:7-1:7: expected ,, got EOF"),
        ("x = ", "error @1:5-1:5: expected an expression, got EOF"),
        ('"open', "error @1:1-1:6: the string does not end"),
        ("a |> b", "error @1:6-1:7: pipe destination must be a function call"),
        ("f(n: 1, n: 2)", "error @1:9-1:10: duplicate keyword argument n"),
        ('{"a": 1, b', "error @1:11-1:11: expected ,, got EOF"),
        ("1 § 2", "error @1:3-1:5: invalid statement: invalid character '§'"),
    ],
)
def test_a_syntax_error_names_its_place(text: str, message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        parse(text)
    assert str(caught.value) == message


def test_analyze_tells_syntax_errors_and_nothing_else() -> None:
    assert analyze('from(bucket: "b") |> nosuch()') == {"errors": []}
    assert analyze("from(") == {
        "errors": [{"line": 1, "column": 6, "character": 0, "message": "expected a name, got EOF"}]
    }


@pytest.mark.parametrize("pattern", ["(?=a)", r"(a)\1", "[[:alpha:]]", "(?U)a", "a{,2}", "(?i)ção", r"\pL", "a++", "("])
def test_a_pattern_that_go_reads_differently_is_refused(pattern: str) -> None:
    with pytest.raises(FluxError):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^a.c$", "abc", True),
        ("a$", "a\n", False),
        (r"\d", "٣", False),
        ("(?i)NE", "ne", True),
        ("[]a]", "]", True),
        ("[^]a]", "]", False),
        ("ç", "ação", True),
        (r"a\/b", "a/b", True),
    ],
)
def test_a_pattern_means_what_it_means_to_go(pattern: str, text: str, found: bool) -> None:
    assert (compile_pattern(pattern).search(text) is not None) is found


@settings(deadline=None)
@given(st.integers(-(2**63) + 2, 2**63 - 2))
def test_a_time_reads_back_from_its_text(ns: int) -> None:
    text = time_text(ns)
    assert parse_time(text) == Time(ns)
    assert not text.endswith(("0Z", ".Z")) or "." not in text


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_text_of_a_float_has_no_exponent_and_reads_back_bit_for_bit(value: float) -> None:
    text = float_text(value)
    assert "e" not in text.lower()
    assert float(text).hex() == value.hex()


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 999), st.sampled_from(["y", "mo", "w", "d", "h", "m", "s", "ms", "us", "ns"])),
        min_size=1,
    )
)
def test_a_duration_reads_back_from_its_text(parts: list[tuple[int, str]]) -> None:
    duration = parse_duration("".join(f"{count}{unit}" for count, unit in parts))
    assert parse_duration(str(duration)) == duration


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [("2024-01-31", 1, "2024-02-29"), ("2023-03-31", -1, "2023-02-28"), ("2023-12-15", 1, "2024-01-15")],
)
def test_a_month_after_the_last_day_of_a_longer_one_is_its_own_last_day(start: str, months: int, end: str) -> None:
    assert Duration(months, 0).added_to(parse_time(start).ns) == parse_time(end).ns


@settings(deadline=None)
@given(st.text(max_size=60) | st.text('from()|>range:1hr=>."{}[],+-*/ \nif\\$', max_size=60))
def test_no_text_makes_the_server_stumble(text: str) -> None:
    answer = ask(text, MemoryPoints())
    assert answer.status in (200, 400, 404)
    assert answer.status == 200 or answer.text.startswith('{"code":')
