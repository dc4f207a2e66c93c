"""Where an API of API Gateway leads: the URI of a REST method's integration or of an HTTP API's integration.

A REST API's change shows only with a deployment: one is made, and the reverse shows the former one again. An HTTP API's
stage must deploy by itself.
"""

from typing import Any

from ts_migration.cutover.aws_answers import aws_answers
from ts_migration.cutover.clients import CutoverClients
from ts_migration.cutover.kind import Kind
from ts_migration.cutover.record import Change
from ts_migration.cutover.undo import HttpIntegrationUndo, RestIntegrationUndo
from ts_migration.cutover_actions import ApiGatewayIntegrationUri
from ts_migration.errors import Missing, Refused


class IntegrationUri(Kind[ApiGatewayIntegrationUri, RestIntegrationUndo | HttpIntegrationUndo]):
    """One of the two below, by the API's protocol."""

    def __init__(self, clients: CutoverClients) -> None:
        super().__init__(clients)
        self.rest, self.http = _Rest(clients), _Http(clients)

    def changes(self, action: ApiGatewayIntegrationUri) -> tuple[Change, ...]:
        before = self.rest.uri(action) if action.protocol == "rest" else self.http.uri(action)
        uri = Change(
            name="uri",
            before=self.secrets.masked("uri", before),
            after=self.secrets.shown("uri", action.uri),
        )
        if action.protocol == "http":
            return (uri,)
        return (uri, Change(name="deployment", before=self.rest.deployment(action), after="a new one"))

    def keep(self, action: ApiGatewayIntegrationUri, mark: str) -> RestIntegrationUndo | HttpIntegrationUndo:
        return self.rest.keep(action, mark) if action.protocol == "rest" else self.http.keep(action)

    def apply(self, action: ApiGatewayIntegrationUri, undo: RestIntegrationUndo | HttpIntegrationUndo) -> None:
        uri = self.secrets.text(action.uri)
        if isinstance(undo, RestIntegrationUndo):
            self.rest.apply(uri, undo)
        else:
            self.http.change(undo.api, undo.integration, uri)

    def revert(self, undo: RestIntegrationUndo | HttpIntegrationUndo) -> None:
        if isinstance(undo, RestIntegrationUndo):
            self.rest.revert(undo)
        else:
            self.http.change(undo.api, undo.integration, undo.uri)


class _Rest:
    """REST APIs: integration, deployment, stage."""

    def __init__(self, clients: CutoverClients) -> None:
        self.clients = clients

    def uri(self, action: ApiGatewayIntegrationUri) -> str:
        return self._uri(action.api, self._resource(action), str(action.method))

    def deployment(self, action: ApiGatewayIntegrationUri) -> str:
        stage = self._stage(action.api, action.stage)
        if stage.get("canarySettings"):
            raise Refused(
                "the stage has a canary, which a new deployment would end",
                where=f"stage {action.stage} of API {action.api}",
                next_step="promote or delete the canary first",
            )
        return str(stage["deploymentId"])

    def keep(self, action: ApiGatewayIntegrationUri, mark: str) -> RestIntegrationUndo:
        resource = self._resource(action)
        return RestIntegrationUndo(
            api=action.api,
            resource=resource,
            method=str(action.method),
            stage=action.stage,
            uri=self._uri(action.api, resource, str(action.method)),
            deployment=self.deployment(action),
            mark=mark,
        )

    def apply(self, uri: str, undo: RestIntegrationUndo) -> None:
        self._change(undo, uri)
        made = self._made(undo)
        if not made:
            with aws_answers(f"API {undo.api}"):
                answer = self._client.create_deployment(restApiId=undo.api, description=undo.mark)
            made = [answer["id"]]
        self._show(undo, made[0])

    def revert(self, undo: RestIntegrationUndo) -> None:
        self._change(undo, undo.uri)
        self._show(undo, undo.deployment)
        for deployment in self._made(undo):
            with aws_answers(f"deployment {deployment} of API {undo.api}"):
                self._client.delete_deployment(restApiId=undo.api, deploymentId=deployment)

    @property
    def _client(self) -> Any:
        return self.clients.aws("apigateway")

    def _resource(self, action: ApiGatewayIntegrationUri) -> str:
        with aws_answers(f"API {action.api}"):
            pages = self._client.get_paginator("get_resources").paginate(restApiId=action.api)
            found = {one["path"]: one["id"] for page in pages for one in page["items"]}
        if action.path not in found:
            paths = ", ".join(sorted(found))
            raise Missing(f"it has no resource {action.path}", where=f"API {action.api}", allowed=paths)
        return str(found[action.path])

    def _uri(self, api: str, resource: str, method: str) -> str:
        with aws_answers(f"{method} of resource {resource} of API {api}"):
            return str(self._client.get_integration(restApiId=api, resourceId=resource, httpMethod=method)["uri"])

    def _change(self, undo: RestIntegrationUndo, uri: str) -> None:
        if self._uri(undo.api, undo.resource, undo.method) == uri:
            return
        with aws_answers(f"{undo.method} of resource {undo.resource} of API {undo.api}"):
            self._client.update_integration(
                restApiId=undo.api,
                resourceId=undo.resource,
                httpMethod=undo.method,
                patchOperations=[{"op": "replace", "path": "/uri", "value": uri}],
            )

    def _stage(self, api: str, stage: str) -> dict[str, Any]:
        with aws_answers(f"stage {stage} of API {api}"):
            answer: dict[str, Any] = self._client.get_stage(restApiId=api, stageName=stage)
        return answer

    def _show(self, undo: RestIntegrationUndo, deployment: str) -> None:
        """Make the stage show a deployment."""
        if self._stage(undo.api, undo.stage)["deploymentId"] == deployment:
            return
        with aws_answers(f"stage {undo.stage} of API {undo.api}"):
            self._client.update_stage(
                restApiId=undo.api,
                stageName=undo.stage,
                patchOperations=[{"op": "replace", "path": "/deploymentId", "value": deployment}],
            )

    def _made(self, undo: RestIntegrationUndo) -> list[str]:
        """Deployments that this action made, known by their description."""
        with aws_answers(f"API {undo.api}"):
            pages = self._client.get_paginator("get_deployments").paginate(restApiId=undo.api)
            return [one["id"] for page in pages for one in page["items"] if one.get("description") == undo.mark]


class _Http:
    """HTTP APIs: an integration, and a stage that deploys by itself."""

    def __init__(self, clients: CutoverClients) -> None:
        self.clients = clients

    def uri(self, action: ApiGatewayIntegrationUri) -> str:
        with aws_answers(f"stage {action.stage} of API {action.api}"):
            stage = self._client.get_stage(ApiId=action.api, StageName=action.stage)
        if not stage.get("AutoDeploy"):
            raise Refused(
                "the stage does not deploy by itself: the change would not show",
                where=f"stage {action.stage} of API {action.api}",
                next_step="turn automatic deployment of the stage on",
            )
        return self._uri(action.api, str(action.integration))

    def keep(self, action: ApiGatewayIntegrationUri) -> HttpIntegrationUndo:
        return HttpIntegrationUndo(api=action.api, integration=str(action.integration), uri=self.uri(action))

    def change(self, api: str, integration: str, uri: str) -> None:
        if self._uri(api, integration) == uri:
            return
        with aws_answers(f"integration {integration} of API {api}"):
            self._client.update_integration(ApiId=api, IntegrationId=integration, IntegrationUri=uri)

    @property
    def _client(self) -> Any:
        return self.clients.aws("apigatewayv2")

    def _uri(self, api: str, integration: str) -> str:
        with aws_answers(f"integration {integration} of API {api}"):
            return str(self._client.get_integration(ApiId=api, IntegrationId=integration)["IntegrationUri"])
