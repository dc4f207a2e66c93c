"""Environment variables of a Lambda function's $LATEST.

Former values may be secrets: they stay in a published version of the function, and only its number is recorded.
"""

import time
from typing import Any

from ts_migration.cutover.aws_answers import aws_answers
from ts_migration.cutover.kind import Kind
from ts_migration.cutover.record import MARK, Change
from ts_migration.cutover.undo import LambdaUndo
from ts_migration.cutover_actions import LambdaEnvironment
from ts_migration.errors import Permanent, Transient

_UPDATE_S = 120.0
"""Seconds that an update of a function may take; usually it takes one or two."""
_LOOK_EVERY_S = 0.5


class LambdaVariables(Kind[LambdaEnvironment, LambdaUndo]):
    """See the module."""

    hides_before = True

    def changes(self, action: LambdaEnvironment) -> tuple[Change, ...]:
        before = _variables(self._configuration(action.function), action.function)
        names = [*action.set, *action.unset]
        return tuple(
            Change(
                name=name,
                before=self.secrets.masked(name, before.get(name)),
                after=self.secrets.shown(name, action.set.get(name)),
            )
            for name in names
        )

    def keep(self, action: LambdaEnvironment, mark: str) -> LambdaUndo:
        settled = self._settled(action.function)
        _variables(settled, action.function)
        with aws_answers(_where(action.function)):
            version = self.clients.aws("lambda").publish_version(
                FunctionName=action.function, Description=mark, RevisionId=settled["RevisionId"]
            )
        return LambdaUndo(
            function=action.function,
            version=version["Version"],
            # Where nothing has changed Lambda publishes nothing: it may be the version of a cutover that was killed.
            made=version.get("Description", "").startswith(MARK),
            names=(*action.set, *action.unset),
        )

    def apply(self, action: LambdaEnvironment, undo: LambdaUndo) -> None:
        new = {name: self.secrets.text(value) for name, value in action.set.items()}
        self._change(action.function, {name: new.get(name) for name in undo.names})

    def revert(self, undo: LambdaUndo) -> None:
        before = _variables(self._configuration(undo.function, undo.version), undo.function)
        self._change(undo.function, {name: before.get(name) for name in undo.names})

    def forget(self, undo: LambdaUndo) -> None:
        if undo.made:
            with aws_answers(_where(undo.function)):
                self.clients.aws("lambda").delete_function(FunctionName=undo.function, Qualifier=undo.version)

    def _change(self, function: str, wanted: dict[str, str | None]) -> None:
        """Set these variables, remove those that are None, and leave all others."""
        settled = self._settled(function)
        before = _variables(settled, function)
        kept = {name: value for name, value in before.items() if name not in wanted}
        after = {**kept, **{name: value for name, value in wanted.items() if value is not None}}
        if after == before:
            return
        with aws_answers(_where(function)):
            self.clients.aws("lambda").update_function_configuration(
                FunctionName=function, Environment={"Variables": after}, RevisionId=settled["RevisionId"]
            )
        self._settled(function)

    def _settled(self, function: str) -> dict[str, Any]:
        """The function's configuration, once no update is under way."""
        until = time.monotonic() + _UPDATE_S
        while True:
            found = self._configuration(function)
            status = found.get("LastUpdateStatus", "Successful")
            if status == "Failed":
                reason = found.get("LastUpdateStatusReason", "no reason given")
                raise Permanent(f"the last update of the function failed: {reason}", where=_where(function))
            if status == "Successful" and found.get("State", "Active") != "Pending":
                return found
            if time.monotonic() > until:
                raise Transient(f"an update has not finished after {_UPDATE_S:g} s", where=_where(function))
            time.sleep(_LOOK_EVERY_S)

    def _configuration(self, function: str, version: str | None = None) -> dict[str, Any]:
        with aws_answers(_where(function)):
            answer: dict[str, Any] = self.clients.aws("lambda").get_function_configuration(
                FunctionName=function, **({"Qualifier": version} if version else {})
            )
        return answer


def _where(function: str) -> str:
    return f"Lambda function {function}"


def _variables(configuration: dict[str, Any], function: str) -> dict[str, str]:
    environment = configuration.get("Environment", {})
    if environment.get("Error"):
        raise Permanent(
            f"its variables cannot be read: {environment['Error'].get('ErrorCode', 'no reason given')}",
            where=_where(function),
            next_step="allow kms:Decrypt with the function's key",
        )
    variables: dict[str, str] = environment.get("Variables", {})
    return variables
