"""What `execute` hands to its worker processes and what comes back: values, and their form as lines of JSON."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum


class TaskKind(StrEnum):
    """Kinds of work."""

    EXPORT_GROUP = "export_group"
    WINDOW = "window"
    CHECK = "check"
    REPAIR = "repair"
    ROLL_UP = "roll_up"


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of work on a job (named by its slug): windows to export ahead, one to migrate, check or repair."""

    kind: TaskKind
    job: str
    keys: tuple[str, ...] = ()
    export_again: bool = False
    """Of a window: its export is made again though it stands, for the source holds other rows now."""

    def to_line(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> "Task":
        """The task that `to_line` wrote."""
        raw = json.loads(line)
        return cls(TaskKind(raw["kind"]), raw["job"], tuple(raw["keys"]), raw["export_again"])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task.

    `permanent` tells that retries are used up or of no use; `checks_passed` and `checks_failed` count the five checks
    of a window; where they do not add up to five, some could not run.
    """

    ok: bool
    seconds: float
    rows: int = 0
    points: int = 0
    values: int = 0
    bytes: int = 0
    quarantined: int = 0
    checks_passed: int = 0
    checks_failed: int = 0
    status: str = ""
    """Of a window: proven, passed or failed by its verdicts; "not proven" where nothing was checked."""
    reason: str = ""
    """Why a window only passed."""
    done: str = ""
    """What a repair did."""
    error: str = ""
    permanent: bool = False
    for_good: bool = False
    """It failed by what it did: a check failed, or a stage that no other try mends. No outage, and nothing refused."""
    run_id: str = ""
    cancelled: bool = False
    """It was stopped before its end, because somebody asked for it."""

    def to_line(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> "Outcome":
        """The outcome that `to_line` wrote."""
        return cls(**json.loads(line))
