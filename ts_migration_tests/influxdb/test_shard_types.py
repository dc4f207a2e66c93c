"""The types of fields within a window: shard group by shard group, and only where the bucket holds several."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.shard_types import _shard_groups, types_in_window
from ts_migration.windows import NS_PER_S, Window, iso, to_ns

FEBRUARY = Window(to_ns(datetime(2023, 2, 1, tzinfo=UTC)), to_ns(datetime(2023, 3, 1, tzinfo=UTC)), "2023-02-01")


@pytest.mark.parametrize(
    ("days", "starts"),
    [
        (7, ["2023-02-01", "2023-02-06", "2023-02-13", "2023-02-20", "2023-02-27"]),
        (30, ["2023-02-01", "2023-02-20"]),
        (365_000, ["2023-02-01"]),
    ],
)
def test_a_window_is_cut_where_the_servers_shard_groups_begin(days: int, starts: list[str]) -> None:
    parts = list(_shard_groups(FEBRUARY, days * 86_400))

    assert [iso(part.start_ns)[:10] for part in parts] == starts
    assert parts[-1].end_ns == FEBRUARY.end_ns
    assert all(one.end_ns == other.start_ns for one, other in pairwise(parts))


def test_a_shard_group_before_1970_is_cut_alike() -> None:
    window = Window(-10 * 86_400 * NS_PER_S, 0)

    starts = [iso(part.start_ns)[:10] for part in _shard_groups(window, 7 * 86_400)]

    assert starts == ["1969-12-22", "1969-12-29"]


def test_the_server_is_not_asked_where_every_field_has_one_type(monkeypatch: pytest.MonkeyPatch) -> None:
    types = {"mw": ("float",), "count": ("integer", "unsigned")}
    monkeypatch.setattr("ts_migration.influxdb.shard_types.query_series", None)

    assert types_in_window(Target.__new__(Target), "b", "m", FEBRUARY, types, 0) == {}
