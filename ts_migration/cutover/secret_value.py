"""Value of a secret of Secrets Manager. Former and new value are versions of it, and only their ids are recorded."""

import json
import uuid
from typing import Any

from ts_migration.cutover.aws_answers import aws_answers
from ts_migration.cutover.kind import Kind
from ts_migration.cutover.record import MASK, Change
from ts_migration.cutover.undo import SecretUndo
from ts_migration.cutover_actions import SecretValue
from ts_migration.errors import Permanent, Refused
from ts_migration.placeholders import is_secret, names_in

_CURRENT = "AWSCURRENT"
_PREVIOUS = "AWSPREVIOUS"


class Secret(Kind[SecretValue, SecretUndo]):
    """See the module."""

    def changes(self, action: SecretValue) -> tuple[Change, ...]:
        current = self._labels(action.secret)[_CURRENT]
        before: str | None = MASK
        if action.key is not None and action.key not in self._json(action.secret, current):
            before = None
        after = action.value if any(is_secret(name) for name in names_in(action.value)) else MASK
        return (Change(name=action.key or "value", before=before, after=after),)

    def keep(self, action: SecretValue, mark: str) -> SecretUndo:
        labels = self._labels(action.secret)
        return SecretUndo(
            secret=action.secret, current=labels[_CURRENT], previous=labels.get(_PREVIOUS), made=str(uuid.uuid4())
        )

    def apply(self, action: SecretValue, undo: SecretUndo) -> None:
        current = self._labels(undo.secret)[_CURRENT]
        if current == undo.made:
            return
        if current != undo.current:
            raise Refused("the secret was changed by somebody else just now", where=_where(undo.secret))
        before = self._text(undo.secret, undo.current)
        value = self.secrets.text(action.value)
        if action.key is None:
            after = value
        else:
            content = self._json(undo.secret, undo.current)
            if content.get(action.key) == value:
                return
            after = json.dumps({**content, action.key: value}, ensure_ascii=False)
        if after != before:
            with aws_answers(_where(undo.secret)):
                self._client.put_secret_value(SecretId=undo.secret, ClientRequestToken=undo.made, SecretString=after)

    def revert(self, undo: SecretUndo) -> None:
        labels = self._labels(undo.secret)
        if labels[_CURRENT] == undo.made:
            self._move(undo, _CURRENT, source=undo.made, target=undo.current)
            labels = self._labels(undo.secret)
        if labels[_CURRENT] != undo.current:
            raise Refused(
                "the secret was changed again after the cutover: the version from before may not be valid any more",
                where=_where(undo.secret),
                next_step=f"look at it, and put back version {undo.current} by hand if that is right",
            )
        # Secrets Manager has moved this label by itself, to the version that the cutover had made.
        if labels.get(_PREVIOUS) == undo.made:
            self._move(undo, _PREVIOUS, source=undo.made, target=undo.previous)

    @property
    def _client(self) -> Any:
        return self.clients.aws("secretsmanager")

    def _labels(self, secret: str) -> dict[str, str]:
        """Label -> version id."""
        with aws_answers(_where(secret)):
            found = self._client.describe_secret(SecretId=secret)
        labels = {label: version for version, given in found.get("VersionIdsToStages", {}).items() for label in given}
        if _CURRENT not in labels or found.get("DeletedDate"):
            raise Permanent("the secret has no value, or is about to be deleted", where=_where(secret))
        return labels

    def _text(self, secret: str, version: str) -> str:
        with aws_answers(_where(secret)):
            found = self._client.get_secret_value(SecretId=secret, VersionId=version)
        if "SecretString" not in found:
            raise Permanent("the secret holds bytes and no text", where=_where(secret))
        return str(found["SecretString"])

    def _json(self, secret: str, version: str) -> dict[str, Any]:
        try:
            content = json.loads(self._text(secret, version))
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise Permanent("the secret holds no JSON object, so it has no keys", where=_where(secret)) from None
        return content

    def _move(self, undo: SecretUndo, label: str, *, source: str, target: str | None) -> None:
        with aws_answers(_where(undo.secret)):
            self._client.update_secret_version_stage(
                SecretId=undo.secret,
                VersionStage=label,
                RemoveFromVersionId=source,
                **({"MoveToVersionId": target} if target else {}),
            )


def _where(secret: str) -> str:
    return f"secret {secret}"
