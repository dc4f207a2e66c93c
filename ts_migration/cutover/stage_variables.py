"""Variables of a stage of an API of API Gateway, REST or HTTP. They take effect without a deployment.

AWS advises against secrets in them, so none may be set and former values are recorded as they are.
"""

from ts_migration.cutover.aws_answers import aws_answers
from ts_migration.cutover.kind import Kind
from ts_migration.cutover.record import Change
from ts_migration.cutover.undo import StageVariablesUndo
from ts_migration.cutover_actions import ApiGatewayStageVariables


class StageVariables(Kind[ApiGatewayStageVariables, StageVariablesUndo]):
    """See the module."""

    def changes(self, action: ApiGatewayStageVariables) -> tuple[Change, ...]:
        before = self._variables(action.protocol, action.api, action.stage)
        return tuple(
            Change(
                name=name,
                before=self.secrets.masked(name, before.get(name)),
                after=self.secrets.shown(name, action.set.get(name)),
            )
            for name in (*action.set, *action.unset)
        )

    def keep(self, action: ApiGatewayStageVariables, mark: str) -> StageVariablesUndo:
        before = self._variables(action.protocol, action.api, action.stage)
        return StageVariablesUndo(
            api=action.api,
            protocol=action.protocol,
            stage=action.stage,
            before={name: before.get(name) for name in (*action.set, *action.unset)},
        )

    def apply(self, action: ApiGatewayStageVariables, undo: StageVariablesUndo) -> None:
        new = {name: self.secrets.text(value) for name, value in action.set.items()}
        self._change(undo, {name: new.get(name) for name in undo.before})

    def revert(self, undo: StageVariablesUndo) -> None:
        self._change(undo, undo.before)

    def _change(self, undo: StageVariablesUndo, wanted: dict[str, str | None]) -> None:
        now = self._variables(undo.protocol, undo.api, undo.stage)
        differing = {name: value for name, value in wanted.items() if now.get(name) != value}
        if not differing:
            return
        with aws_answers(_where(undo.api, undo.stage)):
            if undo.protocol == "http":
                # An HTTP API's variable goes when it is set to nothing; those that are not named stay.
                self.clients.aws("apigatewayv2").update_stage(
                    ApiId=undo.api,
                    StageName=undo.stage,
                    StageVariables={name: value or "" for name, value in differing.items()},
                )
            else:
                self.clients.aws("apigateway").update_stage(
                    restApiId=undo.api,
                    stageName=undo.stage,
                    patchOperations=[_patch(name, value) for name, value in differing.items()],
                )

    def _variables(self, protocol: str, api: str, stage: str) -> dict[str, str]:
        with aws_answers(_where(api, stage)):
            if protocol == "http":
                answer = self.clients.aws("apigatewayv2").get_stage(ApiId=api, StageName=stage)
                return dict(answer.get("StageVariables", {}))
            return dict(self.clients.aws("apigateway").get_stage(restApiId=api, stageName=stage).get("variables") or {})


def _patch(name: str, value: str | None) -> dict[str, str]:
    path = f"/variables/{name}"
    return {"op": "remove", "path": path} if value is None else {"op": "replace", "path": path, "value": value}


def _where(api: str, stage: str) -> str:
    return f"stage {stage} of API {api}"
