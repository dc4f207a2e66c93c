"""Between which times of day windows may begin: over midnight, in a time zone, across a change of its clocks."""

from datetime import UTC, datetime, timedelta

import pytest

from ts_migration.allowed_hours import AllowedHours
from ts_migration.config import parse_config
from ts_migration.errors import ConfigurationError
from ts_migration_tests.embedded_stack import configuration


def opens_in(text: str, hour: int, minute: int = 0, day: int = 10) -> timedelta:
    return AllowedHours.parse(text).opens_in(datetime(2026, 3, day, hour, minute, tzinfo=UTC))


@pytest.mark.parametrize(("hour", "hours_left"), [(21, 1), (22, 0), (23, 0), (0, 0), (5, 0), (6, 16), (12, 10)])
def test_hours_may_go_over_midnight(hour, hours_left):
    assert opens_in("22:00-06:00", hour) == timedelta(hours=hours_left)


@pytest.mark.parametrize(("hour", "hours_left"), [(7, 1), (8, 0), (17, 0), (18, 14)])
def test_hours_may_be_within_a_day(hour, hours_left):
    assert opens_in("08:00-18:00", hour) == timedelta(hours=hours_left)


def test_hours_are_those_of_the_clocks_of_their_zone():
    # 22:00 in Sao Paulo is 01:00 UTC.
    assert opens_in("22:00-06:00 America/Sao_Paulo", 0, 59) == timedelta(minutes=1)
    assert opens_in("22:00-06:00 America/Sao_Paulo", 1) == timedelta()


def test_an_hour_that_the_clocks_leave_out_is_not_waited_for():
    # In Berlin 28 March 2026 20:00 UTC is 21:00; the night to the 29th has an hour less.
    allowed = AllowedHours.parse("06:00-07:00 Europe/Berlin")
    assert allowed.opens_in(datetime(2026, 3, 28, 20, tzinfo=UTC)) == timedelta(hours=8)


@pytest.mark.parametrize("text", ["22-06", "25:00-06:00", "22:00-06:00 Atlantis/City", "06:00-06:00", ""])
def test_what_is_no_range_of_hours_is_told_with_what_is_allowed(text):
    settings = f'migration_settings: {{allowed_hours: "{text}"}}\n'
    with pytest.raises(ConfigurationError, match="HH:MM-HH:MM and a time zone"):
        parse_config(configuration("load_data") + settings)
