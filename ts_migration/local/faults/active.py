"""The rules in force in one server: read again when their file changes, with what they have hit so far.

The file is looked at with every request, so that faults are set and cleared while the server runs. Without a file that
is all that a request costs.
"""

import logging
import threading
from collections.abc import Collection
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from ts_migration.errors import Permanent
from ts_migration.local.faults.rules import FaultKind, FaultRule, read_rules
from ts_migration.local.faults.schedule import Course

_log = logging.getLogger(__name__)
_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a rule has done since it was set: requests that matched it, and those of them that it hit."""

    id: str
    seen: int
    hit: int


class ActiveFaults:
    """The rules of one file, and the course of each. Threads may share it.

    Args:
        path: the file; None: there are never any.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp: _Stamp | None = None
        self._courses: tuple[Course, ...] = ()
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        """Whether any rule is set now."""
        if self._path is None:
            return False
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._courses = None, ()
            return False
        stamp = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if stamp != self._stamp:
            self._read(self._path, stamp)
        return bool(self._courses)

    def hit(self, label: str, kinds: Collection[FaultKind]) -> FaultRule | None:
        """The rule of one of these kinds that hits a request, if any; the one set first where several do.

        Every rule that the label matches counts the request, so that no rule's course depends on another's.
        """
        if not self:
            return None
        found: FaultRule | None = None
        with self._lock:
            for course in self._courses:
                rule = course.rule
                if rule.kind in kinds and (not rule.on or fnmatchcase(label, rule.on)) and course.next():
                    found = found or rule
        return found

    def effects(self) -> list[dict[str, object]]:
        """What each rule has done, as JSON takes it."""
        return [asdict(Effect(course.rule.id, course.seen, course.hit)) for course in self._courses] if self else []

    def _read(self, path: Path, stamp: _Stamp) -> None:
        with self._lock:
            known = {course.rule: course for course in self._courses}
            try:
                rules = read_rules(path)
            except Permanent:
                _log.exception("no fault is injected")
                rules = ()
            # A rule that stays goes on counting when another one is set.
            self._courses = tuple(known.get(rule) or Course(rule) for rule in rules)
            self._stamp = stamp
