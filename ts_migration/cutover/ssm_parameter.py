"""Value of a parameter of SSM's Parameter Store. Its former value is one of its versions, which the store keeps."""

from typing import Any

from ts_migration.cutover.aws_answers import aws_answers
from ts_migration.cutover.kind import Kind
from ts_migration.cutover.record import MASK, Change
from ts_migration.cutover.undo import SsmUndo
from ts_migration.cutover_actions import SsmParameter
from ts_migration.errors import Missing, Refused
from ts_migration.placeholders import is_secret, names_in

_SECURE = "SecureString"
_OPTIONS = ("Description", "KeyId", "AllowedPattern", "Tier", "DataType")


class Parameter(Kind[SsmParameter, SsmUndo]):
    """See the module."""

    hides_before = True

    def changes(self, action: SsmParameter) -> tuple[Change, ...]:
        now = self._parameter(action.name)
        secure = self._type(action, now) == _SECURE
        before = None if now is None else MASK if secure else self.secrets.masked(action.name, now["Value"])
        after = action.value if _has_secret(action) else self.secrets.shown(action.name, action.value)
        return (
            Change(
                name=action.name,
                before=before,
                after=MASK if secure and not _has_secret(action) else after,
            ),
        )

    def keep(self, action: SsmParameter, mark: str) -> SsmUndo:
        now = self._parameter(action.name)
        return SsmUndo(
            name=action.name,
            version=None if now is None else now["Version"],
            parameter_type=self._type(action, now),
            options=self._options(action.name) if now else {},
        )

    def apply(self, action: SsmParameter, undo: SsmUndo) -> None:
        self._put(undo, self.secrets.text(action.value))

    def revert(self, undo: SsmUndo) -> None:
        if undo.version is not None:
            before = self._parameter(f"{undo.name}:{undo.version}")
            if before is None:
                raise Missing(f"its version {undo.version} is not there any more", where=_where(undo.name))
            self._put(undo, before["Value"])
        elif self._parameter(undo.name) is not None:
            with aws_answers(_where(undo.name)):
                self._client.delete_parameter(Name=undo.name)

    @property
    def _client(self) -> Any:
        return self.clients.aws("ssm")

    def _type(self, action: SsmParameter, now: dict[str, Any] | None) -> str:
        """The type that the parameter has or gets.

        Raises:
            Refused: a secret would be readable by anybody who may read the parameter's name.
        """
        found = str(now["Type"]) if now else action.parameter_type
        if _has_secret(action) and found != _SECURE:
            raise Refused(
                f"a secret must not be the value of a parameter of type {found}",
                where=_where(action.name),
                allowed=_SECURE,
            )
        return found

    def _put(self, undo: SsmUndo, value: str) -> None:
        now = self._parameter(undo.name)
        if now is not None and now["Value"] == value and now["Type"] == undo.parameter_type:
            return
        with aws_answers(_where(undo.name)):
            self._client.put_parameter(
                Name=undo.name, Value=value, Type=undo.parameter_type, Overwrite=now is not None, **undo.options
            )

    def _parameter(self, name: str) -> dict[str, Any] | None:
        try:
            with aws_answers(_where(name)):
                found: dict[str, Any] = self._client.get_parameter(Name=name, WithDecryption=True)["Parameter"]
        except Missing:
            return None
        return found

    def _options(self, name: str) -> dict[str, str]:
        """What an overwriting put must be told again, so that only the value changes."""
        with aws_answers(_where(name)):
            pages = self._client.get_paginator("describe_parameters").paginate(
                ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": [name]}]
            )
            found = [one for page in pages for one in page["Parameters"]]
        return {key: str(found[0][key]) for key in _OPTIONS if found and found[0].get(key)}


def _has_secret(action: SsmParameter) -> bool:
    return any(is_secret(name) for name in names_in(action.value))


def _where(name: str) -> str:
    return f"parameter {name}"
