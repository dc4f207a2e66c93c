"""Laws that hold for all values, against Python's own integers and dates."""

from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ts_migration.local.timestream.sql import moments
from ts_migration_tests.local.timestream.sql.engine import Engine

EPOCH = datetime(1970, 1, 1)
moments_ns = st.integers(-(2**62), 2**62)
widths = st.sampled_from([1, 1000, 7, 60 * 10**9, 3600 * 10**9, 86400 * 10**9, 7 * 86400 * 10**9])
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def ask(engine: Engine, *expressions: str):
    """One row of several expressions, so that an example costs one query."""
    (row,) = engine.rows(f"SELECT {', '.join(expressions)}")
    return row


@quick
@given(a=moments_ns, b=moments_ns)
def test_times_compare_as_their_nanoseconds(engine: Engine, a, b):
    x, y = f"from_nanoseconds({a})", f"TIMESTAMP '{moments.format_timestamp(b)}'"
    found = ask(
        engine, f"{x} = {y}", f"{x} <> {y}", f"{x} < {y}", f"{x} <= '{moments.format_timestamp(b)}'", f"{x} - {y}"
    )
    assert found == (a == b, a != b, a < b, a <= b, a - b)


@quick
@given(ns=moments_ns, width=widths)
def test_bin_is_the_multiple_at_or_below(engine: Engine, ns, width):
    assert ask(engine, f"bin(from_nanoseconds({ns}), {width}ns)") == (ns // width * width,)
    assert ask(engine, f"bin(t, w) FROM (VALUES (from_nanoseconds({ns}), 1ns * {width})) AS v(t, w)") == (
        ns // width * width,
    )


@quick
@given(ns=moments_ns)
def test_the_fields_of_a_time_are_those_of_the_calendar(engine: Engine, ns):
    moment = EPOCH + timedelta(microseconds=ns // 1000)
    t = f"from_nanoseconds({ns})"
    found = ask(
        engine,
        f"year({t})",
        f"month({t})",
        f"day({t})",
        f"hour({t})",
        f"minute({t})",
        f"second({t})",
        f"nanosecond({t})",
    )
    expected = (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second, ns % 10**9)
    assert found == expected
    assert ask(engine, f"day_of_week({t})", f"day_of_year({t})") == (moment.isoweekday(), moment.timetuple().tm_yday)
    month = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    assert ask(engine, f"date_trunc('month', {t})") == ((month - EPOCH) // timedelta(microseconds=1) * 1000,)


@quick
@given(ns=moments_ns)
def test_a_time_reads_back_from_every_text_it_is_written_as(engine: Engine, ns):
    text = moments.format_timestamp(ns)
    t = f"from_nanoseconds({ns})"
    assert ask(engine, f"CAST({t} AS varchar)") == (text,)
    back = ask(
        engine,
        f"CAST(CAST({t} AS varchar) AS timestamp)",
        f"from_iso8601_timestamp(to_iso8601({t}))",
        f"from_iso8601_timestamp('{text.replace(' ', 'T')}Z')",
        f"CAST('{text}' AS timestamp)",
        f"to_nanoseconds(TIMESTAMP '{text}')",
    )
    assert back == (ns,) * 5


@quick
@given(a=st.integers(-(2**31), 2**31 - 1), b=st.integers(-(2**31), 2**31 - 1).filter(bool), big=st.booleans())
def test_integer_division_truncates_towards_zero(engine: Engine, a, b, big):
    quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    if not big and quotient == 2**31:
        return
    left = f"CAST({a} AS bigint)" if big else str(a)
    assert ask(engine, f"{left} / {b}", f"{left} % {b}") == (quotient, a - quotient * b)


@quick
@given(value=st.floats(allow_nan=False))
def test_a_double_literal_and_its_text_are_the_same_double(engine: Engine, value):
    if value in (float("inf"), float("-inf")):
        return
    text = repr(value) if "e" in repr(value) else f"{value!r}e0"
    found, written, back = ask(engine, text, f"CAST({text} AS varchar)", f"CAST(CAST({text} AS varchar) AS double)")
    from ts_migration.local.timestream.sql.rendering import java_double

    assert (found.hex(), back.hex()) == (value.hex(), value.hex())
    assert written == java_double(value)


@quick
@given(left=st.text(max_size=5), right=st.text(max_size=5))
def test_texts_compare_by_their_bytes(engine: Engine, left, right):
    if "\0" in left + right:
        return
    a, b = (text.replace("'", "''") for text in (left, right))
    expected = left.encode() < right.encode()
    assert ask(engine, f"'{a}' < '{b}'", f"'{a}' = '{b}'", f"length('{a}')") == (expected, left == right, len(left))


@quick
@given(start=st.integers(0, 2**61), months=st.integers(-1200, 1200))
def test_months_that_are_added_are_found_again(engine: Engine, start, months):
    """On the first of a month nothing is cut off, so date_diff undoes date_add."""
    first = f"date_trunc('month', from_nanoseconds({start}))"
    assert ask(engine, f"date_diff('month', {first}, date_add('month', {months}, {first}))") == (months,)


@quick
@given(text=st.text(alphabet="SELECT FROMtime'\"()*,.+-1hd/:_%<>=;\n", max_size=40))
def test_any_text_is_answered_or_refused_and_nothing_else(engine: Engine, text):
    from ts_migration.local.timestream.sql import SqlRefused, parse
    from ts_migration_tests.local.timestream.sql.engine import NOW, TwoTables

    try:
        parse(text, TwoTables(), now_ns=NOW)
    except SqlRefused as refused:
        assert refused.code == "ValidationException"
