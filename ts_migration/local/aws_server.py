"""moto's server, with what a cutover asks of AWS and moto does not know.

REST APIs: UpdateIntegration. HTTP APIs: UpdateStage (API Gateway's rule: a variable that is set to nothing goes).
Lambda: RevisionId, and an update that is refused where it names an older one. Secrets Manager: the version that
AWSCURRENT is moved to is the one that is told.
"""

import json
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from moto.apigateway.responses import APIGatewayResponse
from moto.apigatewayv2.responses import ApiGatewayV2Response
from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import LambdaBackend, LambdaFunction
from moto.secretsmanager.models import SecretsManagerBackend
from moto.server import main


class _StaleRevision(LambdaClientError):
    code = 412

    def __init__(self) -> None:
        super().__init__("PreconditionFailedException", "The RevisionId provided does not match the latest RevisionId.")


def fill_gaps() -> None:
    """Teach moto, once a process."""
    configuration, update = LambdaFunction.get_configuration, LambdaBackend.update_function_configuration

    def get_configuration(function: Any, *given: Any, **named: Any) -> Any:
        return {**configuration(function, *given, **named), "RevisionId": _revision(function)}

    def update_function_configuration(backend: Any, function_name: str, qualifier: str, body: dict[str, Any]) -> Any:
        function = backend.get_function(function_name, qualifier)
        if body.get("RevisionId", _revision(function)) != _revision(function):
            raise _StaleRevision
        function.configuration_revision = str(uuid.uuid4())
        return update(backend, function_name, qualifier, body)

    move = SecretsManagerBackend.update_secret_version_stage

    def update_secret_version_stage(backend: Any, *given: Any, **named: Any) -> Any:
        answer = move(backend, *given, **named)
        secret = backend.secrets[answer[0]]
        current = (one for one, version in secret.versions.items() if "AWSCURRENT" in version["version_stages"])
        secret.default_version_id = next(current)
        return answer

    methods: tuple[tuple[type, Callable[..., Any]], ...] = (
        (APIGatewayResponse, update_integration),
        (ApiGatewayV2Response, update_stage),
        (LambdaFunction, get_configuration),
        (LambdaBackend, update_function_configuration),
        (SecretsManagerBackend, update_secret_version_stage),
    )
    for owner, method in methods:
        setattr(owner, method.__name__, method)


def _revision(function: Any) -> str:
    if not hasattr(function, "configuration_revision"):
        function.configuration_revision = str(uuid.uuid4())
    return str(function.configuration_revision)


def update_integration(self: Any) -> str:
    """PATCH of a REST method's integration: its URI."""
    _, _, api, _, resource, _, method, *_ = self.path.split("/")
    integration = self.backend.get_integration(api, resource, method)
    for operation in json.loads(self.body)["patchOperations"]:
        if (operation["op"], operation["path"]) != ("replace", "/uri"):
            raise NotImplementedError(f"patch {operation['op']} {operation['path']}")
        integration.uri = operation["value"]
    return json.dumps(integration.to_json())


def update_stage(self: Any) -> tuple[int, dict[str, str], str]:
    """PATCH of an HTTP API's stage: its variables."""
    _, _, _, api, _, name = self.path.split("/")
    given = json.loads(self.body)
    if set(given) != {"stageVariables"}:
        raise NotImplementedError(f"UpdateStage of {', '.join(given)}")
    stage = self.apigatewayv2_backend.get_stage(api, unquote(name))
    merged = {**stage.stage_variables, **given["stageVariables"]}
    stage.stage_variables = {name: value for name, value in merged.items() if value}
    return 200, {}, json.dumps(stage.to_json())


if __name__ == "__main__":
    fill_gaps()
    main()
