"""The section `cutover` of the configuration: who approves, and the typed actions that switch applications over.

What an action does and how it is undone is in `cutover`. An action holds no secret: `{influxdb_token}` and `{env:NAME}`
stand for them where they are allowed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ts_migration.config_values import Section, Text, TimeNs
from ts_migration.placeholders import OF_JOB, SecretTemplate, Template, names_in

Names = Annotated[tuple[Text, ...], Field(strict=False)]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class ActionOptions(Section):
    """What all actions share."""

    job: Text | None = None
    """Job whose `{bucket}`, `{measurement}`, … are meant; needed where the jobs differ in them."""


class _Variables(ActionOptions):
    @model_validator(mode="after")
    def _changes_something(self) -> "_Variables":
        values: Mapping[str, str] = getattr(self, "set", {})
        removed: tuple[str, ...] = getattr(self, "unset", ())
        both = sorted(set(values) & set(removed))
        if both:
            raise ValueError(f"a name in set or in unset, not in both: {', '.join(both)}")
        if not values and not removed:
            raise ValueError("at least one name in set or unset")
        return self


class LambdaEnvironment(_Variables):
    """Environment variables of a Lambda function; all others stay as they are."""

    type: Literal["lambda_environment"]
    function: Text
    """Name or ARN, without a version."""
    set: dict[Text, SecretTemplate] = Field(default_factory=dict)
    unset: Names = ()


class ApiGatewayStageVariables(_Variables):
    """Variables of a stage of a REST or HTTP API; all others stay as they are."""

    type: Literal["api_gateway_stage_variables"]
    api: Text
    protocol: Literal["rest", "http"] = "rest"
    stage: Text
    set: dict[Text, Template] = Field(default_factory=dict)
    unset: Names = ()


class ApiGatewayIntegrationUri(ActionOptions):
    """Where a REST API's method or an HTTP API's integration leads."""

    type: Literal["api_gateway_integration_uri"]
    api: Text
    protocol: Literal["rest", "http"] = "rest"
    uri: Template
    path: Text | None = None
    """REST: path of the resource, such as /points."""
    method: Text | None = None
    """REST: HTTP method of the resource."""
    stage: Text | None = None
    """REST: the stage that is deployed; its former deployment comes back with the reverse."""
    integration: Text | None = None
    """HTTP: id of the integration."""

    @model_validator(mode="after")
    def _names_its_integration(self) -> "ApiGatewayIntegrationUri":
        rest = {"path": self.path, "method": self.method, "stage": self.stage}
        http = {"integration": self.integration}
        needed, foreign = (rest, http) if self.protocol == "rest" else (http, rest)
        if not all(needed.values()) or any(foreign.values()):
            raise ValueError(f"with protocol {self.protocol}: {', '.join(needed)}, and not {', '.join(foreign)}")
        return self


class SsmParameter(ActionOptions):
    """Value of a parameter of SSM's Parameter Store. A parameter that is there keeps its type."""

    type: Literal["ssm_parameter"]
    name: Text
    value: SecretTemplate
    parameter_type: Literal["String", "SecureString", "StringList"] = "String"
    """Of a parameter that is made."""


class SecretValue(ActionOptions):
    """Value of a secret of Secrets Manager: the whole, or one key of its JSON."""

    type: Literal["secrets_manager"]
    secret: Text
    """Name or ARN; it must be there."""
    value: SecretTemplate
    key: Text | None = None


class GrafanaDataSource(ActionOptions):
    """Settings of a Grafana data source, by Grafana's HTTP API."""

    type: Literal["grafana_data_source"]
    url: Template
    """Of Grafana."""
    token_variable: VariableName
    """Environment variable that holds a service account's token."""
    uid: Text
    set: dict[Text, Template] = Field(default_factory=dict)
    """Fields of the data source, such as url, type, database."""
    json_data: dict[Text, Template] = Field(default_factory=dict)
    secure_json_data: dict[Text, SecretTemplate] = Field(default_factory=dict)
    revert_secure_json_data: dict[Text, SecretTemplate] = Field(default_factory=dict)
    """What the reverse sets in secure_json_data: Grafana does not tell what it holds."""


class CloudWatchDashboard(ActionOptions):
    """Body of a CloudWatch dashboard: texts in it replaced, or a file in its place."""

    type: Literal["cloudwatch_dashboard"]
    dashboard: Text
    replace: dict[Text, Template] = Field(default_factory=dict)
    body_file: Text | None = None
    """File of JSON, taken as it is."""

    @model_validator(mode="after")
    def _one_way(self) -> "CloudWatchDashboard":
        if bool(self.replace) == bool(self.body_file):
            raise ValueError("either replace or body_file")
        return self


class SnsMessage(ActionOptions):
    """A message to an SNS topic. It cannot be taken back: the reverse sends another one."""

    type: Literal["sns_message"]
    topic: Text
    """ARN of the topic."""
    message: Template
    subject: Annotated[Template, Field(max_length=100)] | None = None
    revert_message: Template | None = None
    """None: the reverse sends nothing."""


class WebhookRequest(Section):
    """One HTTP request. Exactly `body` as text, or `json_body`, or none of them."""

    url: SecretTemplate
    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = "POST"
    headers: dict[Text, SecretTemplate] = Field(default_factory=dict)
    body: SecretTemplate | None = None
    json_body: dict[Text, Any] | None = None
    """Sent as JSON; its texts may hold placeholders."""


class Webhook(ActionOptions):
    """An HTTP request to somebody's server. It cannot be taken back: the reverse sends `on_revert`."""

    type: Literal["webhook"]
    request: WebhookRequest
    on_revert: WebhookRequest | None = None
    """None: the reverse sends nothing."""


Action = Annotated[
    LambdaEnvironment
    | ApiGatewayStageVariables
    | ApiGatewayIntegrationUri
    | SsmParameter
    | SecretValue
    | GrafanaDataSource
    | CloudWatchDashboard
    | SnsMessage
    | Webhook,
    Field(discriminator="type"),
]

ACTIONS: dict[str, type[ActionOptions]] = {
    "lambda_environment": LambdaEnvironment,
    "api_gateway_stage_variables": ApiGatewayStageVariables,
    "api_gateway_integration_uri": ApiGatewayIntegrationUri,
    "ssm_parameter": SsmParameter,
    "secrets_manager": SecretValue,
    "grafana_data_source": GrafanaDataSource,
    "cloudwatch_dashboard": CloudWatchDashboard,
    "sns_message": SnsMessage,
    "webhook": Webhook,
}


class CutoverSettings(Section):
    """What happens once everything is proven, and who says so."""

    approval: Literal["manual", "automatic"] = "manual"
    """manual: the sensor does not begin the cutover, and `ts-migration cutover --apply` wants a yes."""
    dual_write_since: TimeNs | None = None
    """Since when applications have been writing to both systems, ns."""
    actions: tuple[Action, ...] = Field(default=(), strict=False)
    """In this order."""


def job_problems(cutover: CutoverSettings, jobs: Sequence[Mapping[str, str]]) -> list[str]:
    """Actions whose job is not there, or whose placeholders mean another value for each job. A line each.

    Args:
        cutover: the section.
        jobs: placeholder -> value, of each job.
    """
    problems = []
    known = ", ".join(repr(job["job"]) for job in jobs)
    for number, action in enumerate(cutover.actions, 1):
        where = f"cutover: action {number} ({action.type})"
        if action.job is not None and action.job not in {job["job"] for job in jobs}:
            problems.append(f"{where}: job = {action.job!r}: not allowed; allowed: {known}")
        used = {name for text in _texts(action.model_dump()) for name in names_in(text)}
        for name in sorted(used & set(OF_JOB)):
            if action.job is None and len({job[name] for job in jobs}) > 1:
                problems.append(f"{where}: {{{name}}} is another one for each job; allowed: with job, one of {known}")
    return problems


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, Sequence):
        for one in value:
            yield from _texts(one)
