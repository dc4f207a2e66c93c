"""What is wrong or not supported is refused by name, in the order in which the server looks."""

import random
from collections.abc import Iterator

import pytest

from ts_migration_tests.local.influxdb.flux.asking import MW, plants, records, refusal
from ts_migration_tests.local.influxdb.flux.memory import ask


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ('from(bucket: "b")', "cannot submit unbounded read to \"b\"; try bounding 'from' with a call to 'range'"),
        ('from(bucket: "b") |> range(start: 0, stop: 0)', "cannot query an empty range"),
        (MW + " |> histogram(bins: [1.0])", "histogram is not supported by the embedded InfluxDB"),
        ('import "date"\n' + MW, "the package date is not supported"),
        ('import "nope"\n' + MW, "invalid import path nope"),
        (
            'import "strings"\n' + MW + " |> map(fn: (r) => ({x: strings.title(v: r.source)}))",
            "strings.title is not supported",
        ),
        (MW + " |> nope()", "undefined identifier nope"),
        (MW + " |> limit()", "missing required argument n"),
        (MW + " |> limit(n: 1, m: 2)", "found unexpected argument m"),
        (MW + " |> limit(n: 1.5)", "expected int but found float (argument n)"),
        (MW + ' |> limit(n: "1")', "expected int but found string (argument n)"),
        (MW + " |> limit(n: -1)", "must not be negative"),
        (MW + " |> aggregateWindow(every: 0s, fn: mean)", "positive duration"),
        (MW + " |> aggregateWindow(every: 1mo1d, fn: mean)", "cannot mix month and nanosecond units"),
        (
            MW + ' |> aggregateWindow(every: 1h, fn: mean, location: {zone: "America/Sao_Paulo", offset: 0h})',
            "location other than UTC",
        ),
        (MW + " |> aggregateWindow(every: 1ns, fn: mean)", "not supported"),
        (MW + ' |> rename(columns: {nope: "x"})', 'column "nope" doesn\'t exist'),
        (
            MW + ' |> pivot(rowKey: ["nope"], columnKey: ["_field"], valueColumn: "_value")',
            "specified column does not exist in table: nope",
        ),
        ('from(bucket: "b", host: "x") |> range(start: 0)', "from with host is not supported"),
        ("1 + 1", "returns no streaming data"),
        ("x = 1\nx = 2\n" + MW, 'variable "x" redefined'),
        ('option task = {name: "x", every: 1h}\nx = 1', "returns no streaming data"),
        ("return 1", "only allowed in functions"),
    ],
)
def test_what_is_not_supported_or_wrong_is_refused_by_name(query: str, message: str) -> None:
    assert message in refusal(query)


def test_an_unknown_bucket_is_not_found_after_the_plan_was_checked() -> None:
    read = 'from(bucket: "nope") |> range(start: 0)'
    assert refusal(read, status=404) == 'failed to initialize execute state: could not find bucket "nope"'
    assert "unbounded" in refusal('from(bucket: "nope")')
    assert records(f"x = {read}\n{MW} |> limit(n: 1)")


def mutations(seed: int) -> Iterator[str]:
    """Valid queries with a word left out, doubled or swapped."""
    chosen = random.Random(seed)
    words = (
        MW + ' |> map(fn: (r) => ({r with x: if r._value > 1.0 then "a" else "b"})) |> group(columns: ["x"]) |> sum()'
    ).split(" ")
    for _ in range(40):
        changed = list(words)
        place, other = chosen.randrange(len(words)), chosen.randrange(len(words))
        kind = chosen.randrange(3)
        if kind == 0:
            del changed[place]
        elif kind == 1:
            changed.insert(place, changed[other])
        else:
            changed[place], changed[other] = changed[other], changed[place]
        yield " ".join(changed)


@pytest.mark.parametrize("seed", range(8))
def test_a_query_that_is_nearly_right_is_answered_or_refused_but_never_stumbles(seed: int) -> None:
    points = plants()
    for query in mutations(seed):
        answer = ask(query, points)
        assert answer.status in (200, 400), query


@pytest.mark.parametrize(
    "query",
    [
        f"x = {'9' * 5000}",
        f"x = {'9' * 5000}h",
        f"x = {'9' * 30}y",
        f"x = {'(' * 5000}1{')' * 5000}",
        MW.replace("2023-01-01T00:00:00Z", "-9000y"),
        MW.replace("2023-01-01T00:00:00Z", "-300y") + " |> aggregateWindow(every: 1mo, fn: count)",
        MW.replace("2023-01-01T00:00:00Z", "-300y") + " |> aggregateWindow(every: 1w, fn: count)",
        MW + " |> map(fn: (r) => ({x: int(v: r._value * 1.0e300)}))",
    ],
)
def test_numbers_beyond_all_bounds_are_refused_or_answered(query: str) -> None:
    answer = ask(query, plants())
    assert answer.status in (200, 400)
