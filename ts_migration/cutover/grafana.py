"""Settings of a Grafana data source, by Grafana's HTTP API, under its optimistic version.

Grafana never tells secure settings: whoever replaces one says what the reverse sets in its place.
"""

import json
from typing import Any
from urllib.parse import quote

from ts_migration.cutover.http_request import json_body, requested
from ts_migration.cutover.kind import Kind
from ts_migration.cutover.record import MASK, Change
from ts_migration.cutover.undo import GrafanaUndo
from ts_migration.cutover_actions import GrafanaDataSource
from ts_migration.errors import Permanent, Refused

_TOLD_ONLY = (
    "secureJsonFields",
    "secureJsonData",
    "readOnly",
    "accessControl",
    "typeLogoUrl",
    "typeName",
    "apiVersion",
)
"""Keys of an answer that are not sent back."""


class DataSource(Kind[GrafanaDataSource, GrafanaUndo]):
    """See the module."""

    def changes(self, action: GrafanaDataSource) -> tuple[Change, ...]:
        now = self._changeable(action.url, action.token_variable, action.uid)
        before = self._undo(action, now)
        plain = [
            Change(name=name, before=self._shown(name, old.get(name)), after=self._shown(name, self.secrets.json(new)))
            for old, wanted in ((before.fields, action.set), (before.json_data, action.json_data))
            for name, new in wanted.items()
        ]
        secure = [
            Change(name=name, before=MASK if before.secure[name] else None, after=self.secrets.shown(name, new))
            for name, new in action.secure_json_data.items()
        ]
        return (*plain, *secure)

    def keep(self, action: GrafanaDataSource, mark: str) -> GrafanaUndo:
        return self._undo(action, self._changeable(action.url, action.token_variable, action.uid))

    def apply(self, action: GrafanaDataSource, undo: GrafanaUndo) -> None:
        now = self._changeable(undo.url, undo.token_variable, undo.uid)
        after = {**now, **self.secrets.json(action.set)}
        after["jsonData"] = {**now.get("jsonData", {}), **self.secrets.json(action.json_data)}
        self._put(undo, now, after, {name: self.secrets.text(text) for name, text in action.secure_json_data.items()})

    def revert(self, undo: GrafanaUndo) -> None:
        now = self._changeable(undo.url, undo.token_variable, undo.uid)
        after = {**now, **undo.fields}
        details = {**now.get("jsonData", {}), **undo.json_data}
        after["jsonData"] = {name: value for name, value in details.items() if name not in undo.absent_json_data}
        for name in undo.absent_fields:
            after.pop(name, None)
        self._put(undo, now, after, {name: self.secrets.text(text) for name, text in undo.secure.items()})

    def _undo(self, action: GrafanaDataSource, now: dict[str, Any]) -> GrafanaUndo:
        details, hidden = now.get("jsonData", {}), now.get("secureJsonFields", {})
        unknown = [
            name for name in action.secure_json_data if hidden.get(name) and name not in action.revert_secure_json_data
        ]
        if unknown:
            raise Refused(
                f"it holds secure settings that Grafana does not tell: {', '.join(unknown)}",
                where=_where(action.uid),
                next_step="say in revert_secure_json_data what the reverse sets, such as {env:OLD_PASSWORD}",
            )
        return GrafanaUndo(
            url=action.url,
            token_variable=action.token_variable,
            uid=action.uid,
            fields={name: now[name] for name in action.set if name in now},
            absent_fields=tuple(name for name in action.set if name not in now),
            json_data={name: details[name] for name in action.json_data if name in details},
            absent_json_data=tuple(name for name in action.json_data if name not in details),
            secure={
                name: action.revert_secure_json_data[name] if hidden.get(name) else ""
                for name in action.secure_json_data
            },
        )

    def _shown(self, name: str, value: Any) -> str | None:
        if value is None:
            return None
        return self.secrets.masked(name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))

    def _changeable(self, url: str, token_variable: str, uid: str) -> dict[str, Any]:
        found = self._request("GET", url, token_variable, uid)
        if found.get("readOnly"):
            raise Refused(
                "it is provisioned from a file: Grafana does not let it be changed",
                where=_where(uid),
                next_step="change the file, or allow changes by editable: true",
            )
        return found

    def _put(self, undo: GrafanaUndo, now: dict[str, Any], after: dict[str, Any], secure: dict[str, str]) -> None:
        """Send what differs. What is secure cannot be compared: it is sent again."""
        if after == now and not secure:
            return
        body = {name: value for name, value in after.items() if name not in _TOLD_ONLY}
        # Left out, secure settings stay as they are.
        if secure:
            body["secureJsonData"] = secure
        self._request("PUT", undo.url, undo.token_variable, undo.uid, body)

    def _request(
        self, method: str, url: str, token_variable: str, uid: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.secrets.variable(token_variable)}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        place = f"{self.secrets.text(url).rstrip('/')}/api/datasources/uid/{quote(uid, safe='')}"
        answer = requested(method, place, headers, None if body is None else json_body(body), _where(uid))
        try:
            content = json.loads(answer)
        except ValueError:
            raise Permanent("the answer is no JSON: is the URL one of Grafana?", where=_where(uid)) from None
        if not isinstance(content, dict):
            raise Permanent("the answer is no data source", where=_where(uid))
        return content


def _where(uid: str) -> str:
    return f"Grafana data source {uid}"
