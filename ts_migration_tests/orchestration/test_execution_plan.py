"""What `execute` leaves alone, and which windows it exports together."""

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest

from ts_migration.config import parse_config
from ts_migration.orchestration import execution_plan
from ts_migration.orchestration.check_state import TableState
from ts_migration.orchestration.execution_plan import GROUP_WINDOWS, finished_windows, groups_of
from ts_migration.orchestration.schedule import Group
from ts_migration.stages.proof import TableProof, WindowManifests, WindowProof, window_proof
from ts_migration.windows import Window
from ts_migration_tests.stages.manifests import STANDING, window_manifests

CONFIG = """
migration_jobs:
  - job_name: load
    source_database: grid
    source_table: load
    target_bucket: load
    start_time: 2023-01-01T00:00:00Z
    end_time: 2023-04-30T23:59:59Z
    validation_enabled: {validated}
    window: {window}
"""


def job_of(*, validated: str = "true", window: str = "month"):
    return parse_config(CONFIG.format(validated=validated, window=window)).migration_jobs[0]


JOB = job_of()
JANUARY, FEBRUARY, MARCH, APRIL = JOB.grid.keys


def proof_with(windows: dict[str, WindowManifests], job=JOB) -> TableProof:
    """A table of which these windows have manifests."""

    def one(window: Window) -> WindowProof:
        found = windows.get(window.key, WindowManifests())
        return window_proof(window, found, STANDING, validated=job.validation_enabled)

    return TableProof("load", "grid.load", "load", "load", tuple(one(window) for window in job.grid))


def whole(key: str, **options: str) -> WindowManifests:
    return window_manifests(JOB.grid.window(key), **options)


def state(green: set[str], materialized: set[str] | None = None) -> TableState:
    there = frozenset(green if materialized is None else materialized)
    return TableState(JOB.grid.keys, there, frozenset(green), frozenset(), frozenset(), newest=1)


# What is finished


def test_a_window_is_finished_only_where_manifests_and_dagster_agree() -> None:
    proof = proof_with({JANUARY: whole(JANUARY), FEBRUARY: whole(FEBRUARY)})

    assert finished_windows(JOB, proof, state(green={FEBRUARY, MARCH})) == {FEBRUARY}


def test_a_failed_window_is_not_finished_whatever_dagster_says() -> None:
    proof = proof_with({JANUARY: whole(JANUARY, status="failed")})

    assert finished_windows(JOB, proof, state(green={JANUARY})) == set()


def test_a_window_that_passed_with_a_tolerance_isfinished_windows() -> None:
    proof = proof_with({JANUARY: whole(JANUARY, status="passed")})

    assert finished_windows(JOB, proof, state(green={JANUARY})) == {JANUARY}


def test_without_validation_a_loaded_window_isfinished_windows() -> None:
    unchecked = job_of(validated="false")
    loaded = {key: replace(whole(key), verdicts=None) for key in (JANUARY, FEBRUARY)}

    assert finished_windows(unchecked, proof_with(loaded, unchecked), state(green=set(), materialized={JANUARY})) == {
        JANUARY
    }
    assert finished_windows(JOB, proof_with(loaded), state(green=set(), materialized={JANUARY})) == set()


# What is exported together


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """Window -> rows that the source counts; what is not named has a thousand."""
    counted: dict[str, int] = {}

    def window_rows(query: object, database: str, table: str, windows: list[Window]) -> tuple[int, ...]:
        return tuple(counted.get(window.key, 1000) for window in windows)

    monkeypatch.setattr(execution_plan, "window_rows", window_rows)
    yield counted


def groups(done: dict[str, WindowManifests] | None = None, job=JOB) -> list[Group]:
    return groups_of(job, list(job.grid), proof_with(done or {}, job), SimpleNamespace())


def test_small_windows_share_an_unload(rows: dict[str, int]) -> None:
    assert groups() == [Group((JANUARY, FEBRUARY, MARCH, APRIL), export_ahead=True)]


def test_a_window_that_grew_is_exported_again_alone(rows: dict[str, int]) -> None:
    done = {key: whole(key) for key in (JANUARY, FEBRUARY)}

    found = groups_of(JOB, list(JOB.grid)[1:], proof_with(done), SimpleNamespace(), frozenset({FEBRUARY}))

    assert found == [Group((FEBRUARY,), export_again=True), Group((MARCH, APRIL), export_ahead=True)]


def test_a_window_that_would_make_the_group_too_large_begins_the_next(rows: dict[str, int]) -> None:
    rows |= {FEBRUARY: 499_500}

    assert groups() == [Group((JANUARY,)), Group((FEBRUARY,)), Group((MARCH, APRIL), export_ahead=True)]


def test_a_large_window_goes_alone_and_is_not_exported_ahead(rows: dict[str, int]) -> None:
    rows |= dict.fromkeys(JOB.grid.keys, 10_000_000)

    assert groups() == [Group((key,)) for key in JOB.grid.keys]


def test_a_window_that_is_exported_already_is_not_exported_with_others(rows: dict[str, int]) -> None:
    exported = {MARCH: WindowManifests(export=whole(MARCH).export)}

    assert groups(exported) == [Group((JANUARY, FEBRUARY), export_ahead=True), Group((MARCH,)), Group((APRIL,))]


def test_groups_stay_below_what_an_unload_may_partition(rows: dict[str, int]) -> None:
    daily = job_of(window="day")

    found = groups(job=daily)

    assert [len(group.keys) for group in found] == [GROUP_WINDOWS, GROUP_WINDOWS, 120 - 2 * GROUP_WINDOWS]
    assert tuple(key for group in found for key in group.keys) == daily.grid.keys


def test_one_window_alone_is_not_counted_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the source was asked for nothing")

    monkeypatch.setattr(execution_plan, "window_rows", never)
    window = JOB.grid.window(JANUARY)

    assert groups_of(JOB, [window], proof_with({}), SimpleNamespace()) == [Group((JANUARY,))]
