"""When `catch-up` goes on and when it ends, by what each look at the source finds; the passes themselves are made up."""

from pathlib import Path

import pytest

from ts_migration.config import Environment, load_config
from ts_migration.operations.arrivals import Arrivals, ChangedWindow
from ts_migration.orchestration import catch_up as module
from ts_migration.orchestration.catch_up import MOST_PASSES, CatchUpResult, EndTimeChange, catch_up
from ts_migration.orchestration.execution_result import ExecutionResult, JobResult
from ts_migration.orchestration.repair_run import Repair
from ts_migration.timestream.window_counts import TailCount
from ts_migration_tests.orchestration.scripted import CONFIG, FEBRUARY

APRIL = 1_680_307_200 * 10**9
MAY = APRIL + 30 * 86_400 * 10**9


class Source:
    """What looks find, one after the other, the last one for ever; and what the passes were asked to do."""

    def __init__(self, path: Path, *looks: str) -> None:
        self.path = path
        self.looks = list(looks)
        self.again: list[dict] = []
        self.failing = False
        self.interrupted = False
        self.repaired: list[tuple[str, str]] = []

    def look(self, config: object, *_: object, **__: object) -> tuple[Arrivals, ...]:
        found = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        job = load_config(self.path).migration_jobs[0]
        late = (ChangedWindow(FEBRUARY, 5, 6),) if "late" in found else ()
        rewritten = (ChangedWindow(FEBRUARY, 5, 5),) if "rewritten" in found else ()
        after = "after" in found and job.end_time < MAY
        tail = TailCount(1, APRIL, APRIL) if after else TailCount(0, None, None)
        return (Arrivals(job, late, (), tail, MAY if after else None, rewritten),)

    def execute(self, *_: object, export_again: dict, **__: object) -> ExecutionResult:
        self.again.append(export_again)
        errors = ["window 2023-02-01: no"] if self.failing and (export_again or not self.repaired) else []
        result = JobResult("load", "grid.load", "load", 3, ran=1, failed=len(errors), errors=errors)
        return ExecutionResult("id", (result,), 1.0, self.interrupted)

    def repair(self, *_: object, windows: tuple[str, str], **__: object) -> Repair:
        self.repaired.append(windows)
        return Repair("load", "grid.load", [], {})

    def catch_up(self, *, agrees: bool = True) -> CatchUpResult:
        def agree(change: EndTimeChange) -> bool:
            if agrees:
                change.path.write_text(change.after)
            return agrees

        return catch_up(Environment(), config_path=self.path, agree=agree)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    made = Source(path, "nothing")
    monkeypatch.setattr(module, "look_at_arrivals", made.look)
    monkeypatch.setattr(module, "execute", made.execute)
    monkeypatch.setattr(module, "repair", made.repair)
    return made


def test_what_was_left_open_is_done_once_where_nothing_is_new(source: Source) -> None:
    result = source.catch_up()

    assert (result.ok, source.again) == (True, [{}])


def test_passes_follow_until_a_look_finds_nothing_new(source: Source) -> None:
    source.looks = ["late after", "late", "nothing"]

    result = source.catch_up()

    assert result.ok
    assert source.again == [{"load": (FEBRUARY,)}] * 2
    assert load_config(source.path).migration_jobs[0].end_time == MAY


def test_a_source_that_is_written_to_without_a_pause_ends_it_and_is_told(source: Source) -> None:
    source.looks = ["late"]

    result = source.catch_up()

    assert (len(result.passes), result.still, result.ok) == (MOST_PASSES, False, False)


def test_windows_that_were_written_again_and_failed_are_repaired_and_a_source_that_goes_on_so_ends_it_too(
    source: Source,
) -> None:
    source.looks, source.failing = ["rewritten"], True

    result = source.catch_up()

    assert source.repaired == [(FEBRUARY, FEBRUARY)] * MOST_PASSES
    assert source.again == [{"load": (FEBRUARY,)}, {}] * MOST_PASSES
    assert (result.still, result.ok) == (False, False)


def test_a_later_end_that_nobody_agrees_to_leaves_the_file_alone_and_takes_late_rows_in(source: Source) -> None:
    source.looks = ["late after"]

    result = source.catch_up(agrees=False)

    assert (result.declined, result.ok, source.again) == (True, False, [{"load": (FEBRUARY,)}])
    assert source.path.read_text() == CONFIG


@pytest.mark.parametrize("how", ["failing", "interrupted"])
def test_a_pass_that_failed_or_was_cut_short_is_the_last(source: Source, how: str) -> None:
    source.looks = ["late"]
    setattr(source, how, True)

    result = source.catch_up()

    assert (len(result.passes), result.ok) == (1, False)
