"""The typed actions of `cutover.actions`: what each needs to be told, and what is a mistake in it.

What an action does and how it is undone is in `cutover`. An action holds no secret: `{influxdb_token}` and `{env:NAME}`
stand for them where they are allowed.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ts_migration.config_values import Section, Text
from ts_migration.placeholders import (
    CREDENTIAL_HEADERS,
    JsonTemplate,
    SecretJsonTemplate,
    SecretTemplate,
    Template,
    is_secret,
    names_in,
)

Names = Annotated[tuple[Text, ...], Field(strict=False)]
NotEmpty = Annotated[Template, Field(min_length=1)]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


_NOT_OF_A_DATA_SOURCE = {
    "id", "uid", "orgId", "version", "readOnly", "jsonData", "secureJsonData", "password", "basicAuthPassword",
}  # fmt: skip
"""Fields that Grafana keeps to itself, that have a key of their own here, or that would show a secret."""


class OfAction(Section):
    """A section that is an action or a part of one."""


class ActionOptions(OfAction):
    """What all actions share."""

    job: Text | None = None
    """Job whose `{bucket}`, `{measurement}`, … are meant; needed where the jobs differ in them."""

    @property
    def target(self) -> str:
        """What is changed, as people name it; no secret."""
        raise NotImplementedError


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

    @property
    def target(self) -> str:
        """See `ActionOptions`."""
        return self.function


class ApiGatewayStageVariables(_Variables):
    """Variables of a stage of a REST or HTTP API; all others stay as they are."""

    type: Literal["api_gateway_stage_variables"]
    api: Text
    protocol: Literal["rest", "http"] = "rest"
    stage: Text
    set: dict[Text, NotEmpty] = Field(default_factory=dict)
    unset: Names = ()

    @property
    def target(self) -> str:
        """See `ActionOptions`."""
        return f"{self.api}/{self.stage}"


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
    integration: Text | None = None
    """HTTP: id of the integration."""
    stage: Text
    """REST: deployed, and its former deployment comes back with the reverse. HTTP: must deploy by itself."""

    @property
    def target(self) -> str:
        """See `ActionOptions`."""
        return f"{self.api}/{self.stage} {f'{self.method} {self.path}' if self.path else self.integration}"

    @model_validator(mode="after")
    def _names_its_integration(self) -> "ApiGatewayIntegrationUri":
        rest = {"path": self.path, "method": self.method}
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

    @property
    def target(self) -> str:
        """See `ActionOptions`."""
        return self.name


class SecretValue(ActionOptions):
    """Value of a secret of Secrets Manager: the whole, or one key of its JSON."""

    type: Literal["secrets_manager"]
    secret: Text
    """Name or ARN; it must be there."""
    value: SecretTemplate
    key: Text | None = None

    @property
    def target(self) -> str:
        """See `ActionOptions`."""
        return self.secret


class GrafanaDataSource(ActionOptions):
    """Settings of a Grafana data source, by Grafana's HTTP API."""

    type: Literal["grafana_data_source"]
    url: Template
    """Of Grafana."""
    token_variable: VariableName
    """Environment variable that holds a service account's token."""
    uid: Text
    set: dict[Text, JsonTemplate] = Field(default_factory=dict)
    """Fields of the data source, such as url, type, database."""
    json_data: dict[Text, JsonTemplate] = Field(default_factory=dict)
    secure_json_data: dict[Text, SecretTemplate] = Field(default_factory=dict)
    revert_secure_json_data: dict[Text, SecretTemplate] = Field(default_factory=dict)
    """What the reverse sets in secure_json_data: Grafana does not tell what it holds."""

    @property
    def target(self) -> str:
        """See `ActionOptions`."""
        return f"{self.url} {self.uid}"

    @model_validator(mode="after")
    def _changes_something(self) -> "GrafanaDataSource":
        if not (self.set or self.json_data or self.secure_json_data):
            raise ValueError("at least one name in set, json_data or secure_json_data")
        foreign = sorted(_NOT_OF_A_DATA_SOURCE & set(self.set))
        if foreign:
            raise ValueError(f"fields in set that a cutover may change; not {', '.join(foreign)}")
        if set(self.revert_secure_json_data) - set(self.secure_json_data):
            raise ValueError("names in revert_secure_json_data that are in secure_json_data too")
        return self


class CloudWatchDashboard(ActionOptions):
    """Body of a CloudWatch dashboard: texts in it replaced, or a file in its place."""

    type: Literal["cloudwatch_dashboard"]
    dashboard: Text
    replace: dict[Text, Template] = Field(default_factory=dict)
    body_file: Text | None = None
    """File of JSON, taken as it is."""

    @property
    def target(self) -> str:
        """See `ActionOptions`."""
        return self.dashboard

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
    subject: Template | None = None
    revert_message: Template | None = None
    """None: the reverse sends nothing."""

    @property
    def target(self) -> str:
        """See `ActionOptions`."""
        return self.topic


class WebhookRequest(OfAction):
    """One HTTP request, with `body` as text, or `json_body`, or none of them."""

    url: SecretTemplate
    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = "POST"
    headers: dict[Text, SecretTemplate] = Field(default_factory=dict)
    body: SecretTemplate | None = None
    json_body: SecretJsonTemplate = None
    """Sent as JSON; its texts may hold placeholders."""

    @model_validator(mode="after")
    def _is_one_request(self) -> "WebhookRequest":
        if self.body is not None and self.json_body is not None:
            raise ValueError("either body or json_body")
        for name, value in self.headers.items():
            if name.lower() in CREDENTIAL_HEADERS and not any(is_secret(one) for one in names_in(value)):
                raise ValueError(f"header {name} from {{env:NAME}}: credentials are not written in the configuration")
        return self


class Webhook(ActionOptions):
    """An HTTP request to somebody's server. It cannot be taken back: the reverse sends `on_revert`."""

    type: Literal["webhook"]
    request: WebhookRequest
    on_revert: WebhookRequest | None = None
    """None: the reverse sends nothing."""

    @property
    def target(self) -> str:
        """See `ActionOptions`; the path of such a URL is often a secret."""
        server = re.match(r"https?://[^/{?@]+(?=[/?]|$)", self.request.url)
        return f"{self.request.method} {server[0]}/…" if server else f"{self.request.method} {{…}}"
