"""The hourly energy balance of January 2023: six measures a row, negative values, tags with spaces and slashes.

Windows of a week by default, so that the month begins and ends inside of a window; FULL=1 cuts it into days.
"""

import os
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ts_migration_tests.embedded_stack import DATABASE, EmbeddedStack
from ts_migration_tests.end_to_end.manifests import Objects
from ts_migration_tests.end_to_end.ons import Row, rows_of
from ts_migration_tests.end_to_end.target import count, plain_client, values
from ts_migration_tests.shared_material import shared

pytestmark = pytest.mark.stack

WINDOW, WINDOWS = ("day", 31) if os.environ.get("FULL") else ("week", 6)
START, STOP = "2023-01-01T00:00:00Z", "2023-02-01T00:00:00Z"
CONFIG = f"""\
migration_jobs:
  - job_name: "Balance"
    source_database: "{DATABASE}"
    source_table: "energy_balance"
    target_bucket: "balance of the grid"
    start_time: "2023-01-01T00:00:00Z"
    end_time: "2023-01-31T23:59:59Z"
    window: {WINDOW}
migration_settings:
  parallel_jobs: 2
"""


@dataclass
class Migrated:
    """The migrated month and the source as an independent reader sees it."""

    stack: EmbeddedStack
    rows: list[Row]

    @property
    def values(self) -> dict[tuple[str, str, str, int], float]:
        return {
            (row.id, row.name, column, row.time): float(text)
            for row in self.rows
            for column, text in row.texts.items()
            if text
        }


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migrated]:
    path = shared("data/ons/balanco_energia_subsistema_2023-01.csv")
    stack = EmbeddedStack(tmp_path_factory.mktemp("balance"))
    folder = stack.folder / "ons"
    folder.mkdir()
    (folder / path.name).symlink_to(path)
    stack.write_config(CONFIG)
    try:
        for command in ("local up", "local seed --ons ons", "execute"):
            answer = stack.run(*command.split(), timeout_s=300)
            assert answer.returncode == 0, f"{command}: {answer.stdout}{answer.stderr}"
        yield Migrated(stack, list(rows_of(path)))
    finally:
        stack.down()


def test_every_window_is_proven_and_so_is_the_table(migrated):
    objects = Objects(migrated.stack, f"{DATABASE}/energy_balance")
    assert list(objects.statuses().values()) == ["proven"] * WINDOWS
    assert objects.migrated()["status"] == "proven"
    assert objects.migrated()["rows"] == len(migrated.rows) == 3_720


def test_the_bucket_holds_as_many_values_per_measure_as_the_source_has_texts(migrated):
    with plain_client(migrated.stack) as client:
        found = count(client, "balance of the grid", "energy_balance", START, STOP)
    assert found == Counter(field for _, _, field, _ in migrated.values)


def test_every_value_is_the_sources_bit_for_bit(migrated):
    expected = migrated.values
    with plain_client(migrated.stack) as client:
        found = values(client, "balance of the grid", "energy_balance", START, STOP)
    assert found.keys() == expected.keys()
    # By their bits: -0.0 is not 0.0 here, and a lost last digit shows.
    assert [key for key in expected if struct.pack(">d", found[key]) != struct.pack(">d", expected[key])] == []


def test_the_month_has_the_peculiarities_that_it_is_tried_for(migrated):
    assert min(migrated.values.values()) < 0
    assert {"SUDESTE/CENTRO-OESTE", "SISTEMA INTERLIGADO NACIONAL"} <= {row.name for row in migrated.rows}
    assert len({field for _, _, field, _ in migrated.values}) == 6
