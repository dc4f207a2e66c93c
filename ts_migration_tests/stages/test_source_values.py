"""Values of the source read again on real servers: a row that was written again is found, though no count differs."""

import polars as pl
import pytest

from ts_migration.local.timestream.seed import seed
from ts_migration.objects import CHECKS_PREFIX
from ts_migration.stages import source_values
from ts_migration.stages.proof import proof_of
from ts_migration.stages.source_values import ExportedValues, rewritten_in, rewritten_windows
from ts_migration.timestream.window_counts import window_rows
from ts_migration.windows import Window
from ts_migration_tests.local.timestream.embedded import write_client
from ts_migration_tests.stages.conftest import HOUR, START, Migration, Stack, new_migration, plant_rows, spec_of

pytestmark = pytest.mark.stack

FEBRUARY = START + 31 * 24 * HOUR
BACKSLASH = "Itaipu\\"
"""No tag can end like this."""


@pytest.fixture
def loaded(stack: Stack) -> Migration:
    migration = new_migration(stack, plant_rows())
    for index in (0, 1):
        migration.run(index)
    return migration


def keys(migration: Migration) -> list[str]:
    proof = proof_of(migration.config, migration.job, migration.stack.bucket)
    stack, job = migration.stack, migration.job
    windows = [each.window for each in proof.windows]
    counts = window_rows(stack.query, job.source_database, job.source_table, windows)
    return [
        each.key
        for each in rewritten_in(migration.config, migration.job, proof.windows, counts, stack.query, stack.bucket)
    ]


def test_what_was_exported_and_not_written_since_is_the_same_and_nothing_is_left_in_the_bucket(
    loaded: Migration,
) -> None:
    before = {found.key for found in loaded.stack.bucket.list("")}

    assert keys(loaded) == []
    assert {found.key for found in loaded.stack.bucket.list("")} == before


def test_only_the_window_of_a_row_that_was_written_again_is_named(loaded: Migration) -> None:
    loaded.write_again(FEBRUARY + 6 * HOUR + 1, load_mw=0.1)

    assert keys(loaded) == ["2023-02-01"]
    assert not list(loaded.stack.bucket.list(CHECKS_PREFIX))


def test_a_value_in_a_column_that_came_since_is_one_that_was_not_exported(loaded: Migration) -> None:
    """The row's other values are as they were, and a window of a mapping that does not know the column reads none."""
    time = FEBRUARY + 6 * HOUR + 1
    row = plant_rows().filter(pl.col("time") == time, pl.col("plant") == "Itaipu, 1").row(0, named=True)
    loaded.write_again(time, load_mw=row["load_mw"], price=7.5)

    assert keys(loaded) == ["2023-02-01"]


@pytest.fixture
def quarantined(stack: Stack) -> Migration:
    """Every row of one plant is quarantined."""
    migration = new_migration(stack, plant_rows(name=BACKSLASH))
    for index in (0, 1):
        assert migration.run(index).status == "passed"
    return migration


def test_a_quarantined_row_that_was_written_again_is_found_too(quarantined: Migration) -> None:
    assert keys(quarantined) == []
    quarantined.write_again(FEBRUARY + 6 * HOUR + 1, BACKSLASH, load_mw=0.1)

    assert keys(quarantined) == ["2023-02-01"]


def test_windows_that_a_new_rewrite_rule_has_converted_again_are_not_taken_for_rewritten(
    quarantined: Migration,
) -> None:
    """By the new rule the same rows have another digest; what reads them next is their conversion."""
    rewrite = quarantined.job.mapping.rewrite.model_copy(update={"trailing_backslash": "drop"})
    mapping = quarantined.job.mapping.model_copy(update={"rewrite": rewrite})

    assert keys(quarantined.changed(mapping=mapping)) == []


@pytest.mark.parametrize("late", [0, 1])
def test_what_expired_hides_nothing_that_came_late(loaded: Migration, late: int) -> None:
    """Three rows fewer than were exported, whatever came: by its count the window has only shrunk."""
    expire(loaded, rows=3 + late)
    for number in range(late):
        loaded.late_row(FEBRUARY + 7 * HOUR + number)

    rolled = loaded.roll_up()

    (told,) = [verdict for verdict in rolled.verdicts if verdict.check == "late_arrivals"]
    assert told.passed is not bool(late)
    assert told.difference.startswith("1 window shrank by 3 rows")
    assert ("and some of those that are there were not exported" in told.evidence[-1]) == bool(late)
    assert not list(loaded.stack.bucket.list(CHECKS_PREFIX))


def expire(migration: Migration, rows: int) -> None:
    """The source after its retention took so many rows of February, and January is still there for once."""
    name = migration.job.source_table
    write_client(migration.stack.timestream_url).delete_table(DatabaseName="energy", TableName=name)
    whole = plant_rows()
    january, february = (whole.filter((pl.col("time") < FEBRUARY) == before) for before in (True, False))
    seed(migration.stack.timestream_url, spec_of(name), pl.concat([january, february[rows:]]))


def test_the_whole_table_is_not_proven_until_the_window_is_exported_again(loaded: Migration) -> None:
    assert loaded.roll_up().status == "proven"
    loaded.write_again(FEBRUARY + 6 * HOUR + 1, load_mw=0.1)

    rolled = loaded.roll_up()

    (late,) = [verdict for verdict in rolled.verdicts if verdict.check == "late_arrivals"]
    assert (rolled.status, late.passed, late.severity, late.stage) == ("failed", False, "ERROR", "export")
    assert late.difference.startswith("1 window holds other values; next: `ts-migration catch-up --only ")
    assert late.evidence[1].startswith(
        "window 2023-02-01: 224 rows were exported, Timestream has as many now and other"
    )


def test_where_nobody_wants_the_values_read_again_the_check_says_that_they_were_not(loaded: Migration) -> None:
    loaded.write_again(FEBRUARY + 6 * HOUR + 1, load_mw=0.1)
    rules = loaded.config.validation_rules.model_copy(update={"reread_source": False})
    config = loaded.config.model_copy(update={"validation_rules": rules})

    rolled = Migration(loaded.stack, config).roll_up()

    (late,) = [verdict for verdict in rolled.verdicts if verdict.check == "late_arrivals"]
    assert (rolled.status, late.passed) == ("proven", True)
    assert late.actual == "472 rows in Timestream now (values not read again: reread_source is false)"


def test_neighbours_are_read_together_up_to_so_many_rows_and_halved_where_they_differ(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The digest of a stretch is the sum of its windows' modulo 2^64."""
    lanes = [(2**64 - 1, 5), (3, 2**63), (7, 2**63 + 9), (1, 1)]
    windows = [ExportedValues(Window(at, at + 10, str(at)), 4, 1, lanes[at // 10]) for at in (0, 10, 20, 30)]
    apart = ExportedValues(Window(50, 60, "50"), 4, 1, (1, 2))
    empty = ExportedValues(Window(40, 50, "40"), 0, 0, (0, 0))
    read: list[tuple[int, int]] = []

    def now(_subject: object, window: Window, *_: object) -> object:
        read.append((window.start_ns, window.end_ns))
        inside = [each for each in (*windows, apart) if window.start_ns <= each.window.start_ns < window.end_ns]
        changed = [
            ExportedValues(each.window, each.rows, each.quarantined, (0, 0)) if each.window.key == "20" else each
            for each in inside
        ]
        return source_values._Sum.of(changed)

    monkeypatch.setattr(source_values, "_values_now", now)

    found = rewritten_windows(None, [apart, *windows, empty], None, None, stretch_rows=16)  # type: ignore[arg-type]

    assert [window.key for window in found] == ["20"]
    assert sorted(read) == [(0, 20), (0, 40), (20, 30), (20, 40), (30, 40), (50, 60)]
