"""Spelling of names, literals and times."""

import pytest

from ts_migration.errors import Refused
from ts_migration.timestream.quoting import identifier, in_any, in_window, literal, table_name
from ts_migration.windows import Window


def test_names_and_literals_double_their_own_quotes() -> None:
    assert identifier('a"b') == '"a""b"'
    assert literal("d'água") == "'d''água'"
    assert table_name("my.db", "t-1") == '"my.db"."t-1"'


def test_a_literal_with_a_nul_is_spelled_without_one() -> None:
    assert literal("\0d'água") == "('' || chr(0) || 'd''água')"


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_what_no_spelling_can_say_is_refused(name: str) -> None:
    with pytest.raises(Refused):
        identifier(name)


def test_a_window_is_half_open_and_exact() -> None:
    assert in_window(Window(-1, 7)) == '"time" >= from_nanoseconds(-1) AND "time" < from_nanoseconds(7)'


def test_windows_that_touch_are_one_range_and_others_keep_an_outer_range_for_pruning() -> None:
    assert in_any([Window(10, 20), Window(0, 10)]) == in_window(Window(0, 20))
    apart = in_any([Window(0, 10), Window(20, 30)])
    assert apart == f"{in_window(Window(0, 30))} AND (({in_window(Window(0, 10))}) OR ({in_window(Window(20, 30))}))"
