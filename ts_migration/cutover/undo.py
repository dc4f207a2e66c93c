"""What an action must know to put back exactly what was there before. It is kept in the record and holds no secret.

Secrets stay where they are kept: a version of a secret, of a parameter or of a function is named, its value is not.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ts_migration.cutover_actions import WebhookRequest


class _Undo(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LambdaUndo(_Undo):
    """Variables of a function; their former values are in a version of it."""

    type: Literal["lambda_environment"] = "lambda_environment"
    function: str
    version: str
    made: bool
    """Whether the version was published for this and goes with the reverse."""
    names: tuple[str, ...]


class StageVariablesUndo(_Undo):
    """Variables of a stage; None: there was none."""

    type: Literal["api_gateway_stage_variables"] = "api_gateway_stage_variables"
    api: str
    protocol: Literal["rest", "http"]
    stage: str
    before: dict[str, str | None]


class RestIntegrationUndo(_Undo):
    """URI of a REST method's integration, and the deployment that its stage showed."""

    type: Literal["rest_integration_uri"] = "rest_integration_uri"
    api: str
    resource: str
    method: str
    stage: str
    uri: str
    deployment: str
    mark: str
    """Description of the deployment that the cutover makes: it is known by it."""


class HttpIntegrationUndo(_Undo):
    """URI of an HTTP API's integration."""

    type: Literal["http_integration_uri"] = "http_integration_uri"
    api: str
    integration: str
    uri: str


class SsmUndo(_Undo):
    """A parameter's version and what it was made with; no version: there was no parameter."""

    type: Literal["ssm_parameter"] = "ssm_parameter"
    name: str
    version: int | None
    parameter_type: str
    options: dict[str, str] = Field(default_factory=dict)
    """Description, KeyId, Tier, …: as put_parameter takes them."""


class SecretUndo(_Undo):
    """Versions of a secret: current and previous before the cutover, and the one that it makes."""

    type: Literal["secrets_manager"] = "secrets_manager"
    secret: str
    current: str
    previous: str | None
    made: str


class GrafanaUndo(_Undo):
    """What a data source held under the names that are set."""

    type: Literal["grafana_data_source"] = "grafana_data_source"
    url: str
    token_variable: str
    uid: str
    fields: dict[str, Any]
    absent_fields: tuple[str, ...]
    json_data: dict[str, Any]
    absent_json_data: tuple[str, ...]
    secure: dict[str, str]
    """Name -> text with placeholders; empty: there was none."""


class DashboardUndo(_Undo):
    """A dashboard's body; None: there was no dashboard."""

    type: Literal["cloudwatch_dashboard"] = "cloudwatch_dashboard"
    dashboard: str
    body: str | None


class SnsUndo(_Undo):
    """What is told to a topic when the cutover is taken back."""

    type: Literal["sns_message"] = "sns_message"
    topic: str
    message: str | None
    subject: str | None


class WebhookUndo(_Undo):
    """What is sent when the cutover is taken back; its placeholders are filled then."""

    type: Literal["webhook"] = "webhook"
    request: WebhookRequest | None


Undo = Annotated[
    LambdaUndo
    | StageVariablesUndo
    | RestIntegrationUndo
    | HttpIntegrationUndo
    | SsmUndo
    | SecretUndo
    | GrafanaUndo
    | DashboardUndo
    | SnsUndo
    | WebhookUndo,
    Field(discriminator="type"),
]
