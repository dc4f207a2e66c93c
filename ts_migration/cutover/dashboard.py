"""Body of a CloudWatch dashboard: texts in its JSON replaced, or a whole body from a file."""

import json
import re
from collections import Counter
from typing import Any

from ts_migration.cutover.aws_answers import aws_answers
from ts_migration.cutover.kind import Kind
from ts_migration.cutover.record import Change
from ts_migration.cutover.undo import DashboardUndo
from ts_migration.cutover_actions import CloudWatchDashboard
from ts_migration.errors import Missing, Permanent, Refused


class Dashboard(Kind[CloudWatchDashboard, DashboardUndo]):
    """See the module."""

    def changes(self, action: CloudWatchDashboard) -> tuple[Change, ...]:
        before = self._body(action.dashboard)
        after = self._wanted(action, before)
        if action.body_file is not None:
            old = None if before is None else f"{len(before):,} characters"
            return (Change(name="body", before=old, after=f"{len(after):,} characters of {action.body_file}"),)
        _, times = _replaced(before or "", self._texts(action))
        return tuple(
            Change(name=f"{times[_in_json(old)]:,} times", before=old, after=self.secrets.text(new))
            for old, new in action.replace.items()
        )

    def keep(self, action: CloudWatchDashboard, mark: str) -> DashboardUndo:
        return DashboardUndo(dashboard=action.dashboard, body=self._body(action.dashboard))

    def apply(self, action: CloudWatchDashboard, undo: DashboardUndo) -> None:
        # From the body of before: a replacement that is repeated may find its text in what it has put there.
        self._put(action.dashboard, self._wanted(action, undo.body))

    def revert(self, undo: DashboardUndo) -> None:
        if undo.body is not None:
            self._put(undo.dashboard, undo.body)
        elif self._body(undo.dashboard) is not None:
            with aws_answers(_where(undo.dashboard)):
                self._client.delete_dashboards(DashboardNames=[undo.dashboard])

    @property
    def _client(self) -> Any:
        return self.clients.aws("cloudwatch")

    def _body(self, dashboard: str) -> str | None:
        try:
            with aws_answers(_where(dashboard)):
                return str(self._client.get_dashboard(DashboardName=dashboard)["DashboardBody"])
        except Missing:
            return None

    def _put(self, dashboard: str, body: str) -> None:
        if self._body(dashboard) != body:
            with aws_answers(_where(dashboard)):
                self._client.put_dashboard(DashboardName=dashboard, DashboardBody=body)

    def _wanted(self, action: CloudWatchDashboard, before: str | None) -> str:
        if action.body_file is not None:
            return self._file(action.body_file)
        if before is None:
            raise Missing("there is no such dashboard", where=_where(action.dashboard))
        after, times = _replaced(before, self._texts(action))
        for old in action.replace:
            if _in_json(old) not in before:
                raise Missing(f"the text {old!r} is not in its body", where=_where(action.dashboard))
            if not times[_in_json(old)]:
                raise Refused(
                    f"the text {old!r} is in its body only where it overlaps another text of `replace`: it would be "
                    "left as it is",
                    where=_where(action.dashboard),
                    next_step="give texts that do not overlap, or one that holds both",
                )
        return after

    def _texts(self, action: CloudWatchDashboard) -> dict[str, str]:
        return {_in_json(old): _in_json(self.secrets.text(new)) for old, new in action.replace.items()}

    def _file(self, name: str) -> str:
        path = self.clients.folder / name
        try:
            text = path.read_text(encoding="utf-8")
            json.loads(text)
        except (OSError, ValueError) as error:
            raise Permanent(f"the file holds no JSON or cannot be read: {error}", where=str(path)) from None
        return text


def _replaced(body: str, texts: dict[str, str]) -> tuple[str, Counter[str]]:
    """A body with all texts replaced at once, the longest first where several begin; how often each of them was.

    Not one after the other: a text that is part of another, or of what another is replaced by, would be changed twice.
    """
    times: Counter[str] = Counter()
    if not texts:
        return body, times

    def put(found: re.Match[str]) -> str:
        times[found[0]] += 1
        return texts[found[0]]

    return re.sub("|".join(map(re.escape, sorted(texts, key=len, reverse=True))), put, body), times


def _in_json(text: str) -> str:
    """A text as it stands between the quotes of JSON."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _where(dashboard: str) -> str:
    return f"dashboard {dashboard}"
