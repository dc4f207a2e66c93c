"""Which task comes next, and when a job's remaining windows are not worth trying."""

from ts_migration.orchestration.schedule import ALIKE_FAILURES, Group, Schedule
from ts_migration.orchestration.tasks import Outcome, Task, TaskKind

GOOD = Outcome(ok=True, seconds=0.1)


def drain(schedule: Schedule, outcome_of: dict[str, Outcome] | None = None) -> list[Task]:
    taken = []
    while (task := schedule.take()) is not None:
        taken.append(task)
        schedule.finish(task, (outcome_of or {}).get(task.keys[0] if task.keys else "", GOOD))
    return taken


def test_a_group_is_exported_before_its_windows_and_the_roll_up_comes_last() -> None:
    schedule = Schedule({"generation": [Group(("a", "b"), export_ahead=True), Group(("c",))]}, roll_up=["generation"])

    assert [(task.kind, task.keys) for task in drain(schedule)] == [
        (TaskKind.EXPORT_GROUP, ("a", "b")),
        (TaskKind.WINDOW, ("a",)),
        (TaskKind.WINDOW, ("b",)),
        (TaskKind.WINDOW, ("c",)),
        (TaskKind.ROLL_UP, ()),
    ]


def test_jobs_take_turns() -> None:
    schedule = Schedule({"one": [Group(("a", "b"))], "two": [Group(("c", "d"))]}, roll_up=[])

    assert [task.job for task in drain(schedule)] == ["one", "two", "one", "two"]


def test_windows_are_tried_alone_when_their_group_could_not_be_exported() -> None:
    schedule = Schedule({"one": [Group(("a", "b"), export_ahead=True)]}, roll_up=[])
    group = schedule.take()
    assert group is not None
    schedule.finish(group, Outcome(ok=False, seconds=0.1, error="throttled"))

    assert [task.keys for task in drain(schedule)] == [("a",), ("b",)]


def test_a_failed_window_keeps_the_roll_up_from_being_tried() -> None:
    schedule = Schedule({"one": [Group(("a", "b"))]}, roll_up=["one"])
    failed = Outcome(ok=False, seconds=0.1, error="checks failed: checksum")

    assert TaskKind.ROLL_UP not in {task.kind for task in drain(schedule, {"a": failed})}


def test_windows_that_fail_alike_for_good_stop_their_job_and_no_other() -> None:
    keys = tuple(f"2023-0{month}-01" for month in range(1, 8))
    schedule = Schedule({"one": [Group(keys)], "two": [Group(("z",))]}, roll_up=[])
    denied = {
        key: Outcome(ok=False, seconds=0.1, error=f"window {key}: denied by {key[6]}f.parquet", permanent=True)
        for key in keys
    }

    taken = drain(schedule, denied)

    assert [task.job for task in taken].count("one") == ALIKE_FAILURES
    assert ("z",) in [task.keys for task in taken]
    assert "denied" in schedule.stopped_by("one")


def test_windows_that_fail_alike_among_others_that_succeed_keep_nobody_from_being_tried() -> None:
    keys = tuple(f"2023-0{month}-01" for month in range(1, 9))
    schedule = Schedule({"one": [Group(keys)]}, roll_up=[])
    refused = {key: Outcome(ok=False, seconds=0.1, error="refused", permanent=True) for key in keys[::2]}

    assert [task.keys for task in drain(schedule, refused)] == [(key,) for key in keys]
    assert schedule.stopped_by("one") == ""


def test_a_stopped_schedule_gives_out_nothing_more() -> None:
    schedule = Schedule({"one": [Group(("a", "b"))]}, roll_up=["one"])
    assert schedule.take() is not None
    schedule.stop()

    assert schedule.take() is None


def test_tasks_and_outcomes_survive_their_line_of_json() -> None:
    task = Task(TaskKind.EXPORT_GROUP, "generation", ("2023-01-01", "2023-02-01"))
    outcome = Outcome(ok=False, seconds=1.5, rows=3, error='said "no"\nand meant it', permanent=True)

    assert Task.from_line(task.to_line()) == task
    assert Outcome.from_line(outcome.to_line()) == outcome
    assert "\n" not in outcome.to_line()


def test_a_cancelled_job_gets_no_other_task_and_no_roll_up_and_others_go_on():
    schedule = Schedule({"a": [Group(("1", "2"))], "b": [Group(("1",))]}, roll_up=["a", "b"])
    first = schedule.take()
    schedule.cancel("a")
    assert not schedule.is_over("a")
    schedule.finish(first, Outcome(ok=False, seconds=0.1, error="cancelled", cancelled=True))
    assert schedule.is_over("a")
    assert {task.job for task in drain(schedule)} == {"b"}


def test_a_job_is_over_only_once_it_is_rolled_up():
    schedule = Schedule({"a": [Group(("1",))]}, roll_up=["a"])
    schedule.finish(schedule.take(), GOOD)
    assert not schedule.is_over("a")
    schedule.finish(schedule.take(), GOOD)
    assert schedule.is_over("a")


def test_windows_are_held_back_and_roll_ups_are_not():
    held = iter([0.0, 0.01, 0.01, 0.0])
    schedule = Schedule({"a": [Group(("1", "2"))]}, roll_up=["a"], hold_s=lambda: next(held, 3600.0))
    kinds = [task.kind for task in drain(schedule)[:3]]
    assert kinds == [TaskKind.WINDOW, TaskKind.WINDOW, TaskKind.ROLL_UP]
