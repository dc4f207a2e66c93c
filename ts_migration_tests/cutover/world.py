"""The systems that a cutover changes, as they are before it, a way to see all of what they hold, and faults."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from pydantic import SecretStr

from ts_migration.config import Environment, MigrationConfig, parse_config
from ts_migration.cutover.clients import CutoverClients
from ts_migration.objects import ExportBucket
from ts_migration_tests.cutover.grafana import TOKEN, WebServer

INFLUXDB_TOKEN = "influx-token-hunter2"
HOOK_PATH = "hook-path-hunter2"
OLD_PASSWORD = "old-password-hunter2"
SECRETS = (
    INFLUXDB_TOKEN,
    HOOK_PATH,
    OLD_PASSWORD,
    TOKEN,
    "old-lambda-hunter2",
    "old-secure-hunter2",
    "old-secret-hunter2",
)

JOBS = """\
migration_jobs:
  - job_name: load
    source_database: ons
    source_table: load_data
    target_bucket: load
    start_time: 2023-01-01
    end_time: 2023-02-01
migration_settings: {max_retry_attempts: 2, retry_delay_seconds: 0}
"""


@dataclass
class World:
    """Clients of moto and of a web server, with one of each thing that an action changes."""

    aws: Callable[[str], Any]
    web: WebServer
    folder: Path
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def bucket(self) -> ExportBucket:
        return ExportBucket(self.aws("s3"), "proof")

    @property
    def clients(self) -> CutoverClients:
        environment = Environment(
            influxdb_url="http://influx:8086", influxdb_org="ons-energy", influxdb_token=SecretStr(INFLUXDB_TOKEN)
        )
        variables = {"GRAFANA_TOKEN": TOKEN, "HOOK": f"{self.web.url}/hook/{HOOK_PATH}", "OLD_PASSWORD": OLD_PASSWORD}
        return CutoverClients(environment, variables, self.folder, self.aws)

    def config(self, *actions: str) -> MigrationConfig:
        """A configuration of actions, each the text of one."""
        listed = "".join(f"    - {{{action}}}\n" for action in actions)
        return parse_config(f"{JOBS}cutover:\n  actions:\n{listed}")

    def build(self) -> None:
        """Make what is there before."""
        self.aws("s3").create_bucket(Bucket="proof")
        self._lambda()
        self._rest_api()
        self._http_api()
        self.ids["topic"] = self.aws("sns").create_topic(Name="told")["TopicArn"]
        self.ids["queue"] = self.aws("sqs").create_queue(QueueName="told")["QueueUrl"]
        queue = self.aws("sqs").get_queue_attributes(QueueUrl=self.ids["queue"], AttributeNames=["QueueArn"])
        self.aws("sns").subscribe(TopicArn=self.ids["topic"], Protocol="sqs", Endpoint=queue["Attributes"]["QueueArn"])
        ssm = self.aws("ssm")
        ssm.put_parameter(Name="/app/url", Value="timestream", Type="String", Description="where to read")
        ssm.put_parameter(Name="/app/token", Value="old-secure-hunter2", Type="SecureString")
        ssm.put_parameter(Name="/app/hosts", Value="a,b", Type="StringList")
        secrets = self.aws("secretsmanager")
        for name in ("app/whole", "app/json"):
            secrets.create_secret(Name=name, SecretString=json.dumps({"password": "the-one-before"}))
            secrets.put_secret_value(SecretId=name, SecretString=json.dumps({"password": "old-secret-hunter2"}))
        body = {"widgets": [{"properties": {"region": "us-east-1", "title": 'the "Timestream" table'}}]}
        self.aws("cloudwatch").put_dashboard(DashboardName="plants", DashboardBody=json.dumps(body, indent=1))
        self.aws("cloudwatch").put_dashboard(DashboardName="prices", DashboardBody='{"widgets": [{}]}')
        (self.folder / "body.json").write_text('{"widgets": []}')
        self.web.source = {
            "id": 7, "uid": "plants", "orgId": 1, "version": 3, "name": "Plants", "type": "grafana-timestream-datasource",
            "url": "", "jsonData": {"defaultDatabase": "ons", "timeout": 30},
        }  # fmt: skip
        self.web.secure = {"password": OLD_PASSWORD}

    def _lambda(self) -> None:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as entries:
            entries.writestr("main.py", "def handler(event, context): ...")
        role = self.aws("iam").create_role(RoleName="role", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        self.aws("lambda").create_function(
            FunctionName="dashboard",
            Runtime="python3.12",
            Role=role,
            Handler="main.handler",
            Code={"ZipFile": archive.getvalue()},
            Environment={
                "Variables": {"DATABASE": "timestream", "OLD_KEY": "old-lambda-hunter2", "REGION": "sa-east-1"}
            },
        )

    def _rest_api(self) -> None:
        api = self.aws("apigateway")
        rest = api.create_rest_api(name="points")["id"]
        root = next(one["id"] for one in api.get_resources(restApiId=rest)["items"])
        points = api.create_resource(restApiId=rest, parentId=root, pathPart="points")["id"]
        api.put_method(restApiId=rest, resourceId=points, httpMethod="GET", authorizationType="NONE")
        api.put_integration(
            restApiId=rest, resourceId=points, httpMethod="GET", type="HTTP", integrationHttpMethod="GET",
            uri="http://timestream-reader/points", timeoutInMillis=4000,
        )  # fmt: skip
        deployment = api.create_deployment(
            restApiId=rest, stageName="prod", variables={"db": "timestream", "other": "x"}
        )
        self.ids |= {"rest": rest, "points": points, "deployment": deployment["id"]}

    def _http_api(self) -> None:
        api = self.aws("apigatewayv2")
        http = api.create_api(Name="points", ProtocolType="HTTP")["ApiId"]
        integration = api.create_integration(
            ApiId=http, IntegrationType="HTTP_PROXY", IntegrationMethod="GET", PayloadFormatVersion="1.0",
            IntegrationUri="http://timestream-reader/points",
        )  # fmt: skip
        api.create_stage(
            ApiId=http, StageName="live", AutoDeploy=True, StageVariables={"db": "timestream", "other": "x"}
        )
        api.create_stage(ApiId=http, StageName="by-hand", AutoDeploy=False)
        self.ids |= {"http": http, "integration": integration["IntegrationId"]}

    def state(self) -> dict[str, Any]:
        """All that actions may change, with the values that are secret."""
        lambda_, rest, http = self.aws("lambda"), self.aws("apigateway"), self.aws("apigatewayv2")
        ids = self.ids
        versions = lambda_.list_versions_by_function(FunctionName="dashboard")["Versions"]
        stage = rest.get_stage(restApiId=ids["rest"], stageName="prod")
        integration = rest.get_integration(restApiId=ids["rest"], resourceId=ids["points"], httpMethod="GET")
        return {
            "lambda": lambda_.get_function_configuration(FunctionName="dashboard")["Environment"],
            "lambda versions": [one["Version"] for one in versions],
            "rest stage": (stage["deploymentId"], stage["variables"]),
            "rest integration": {key: value for key, value in integration.items() if key != "ResponseMetadata"},
            "rest deployments": [one["id"] for one in rest.get_deployments(restApiId=ids["rest"])["items"]],
            "http stage": http.get_stage(ApiId=ids["http"], StageName="live")["StageVariables"],
            "http integration": http.get_integration(ApiId=ids["http"], IntegrationId=ids["integration"])[
                "IntegrationUri"
            ],
            "parameters": self._parameters(),
            "secrets": self._secrets(),
            "dashboards": self._dashboards(),
            "grafana": {key: value for key, value in self.web.source.items() if key != "version"},
            "grafana secure": {key: value for key, value in self.web.secure.items() if value},
        }

    def _parameters(self) -> dict[str, Any]:
        ssm = self.aws("ssm")
        told = {one["Name"]: one for one in ssm.describe_parameters()["Parameters"]}
        values = {name: ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"] for name in told}
        return {
            name: (one["Type"], one.get("Description"), one.get("KeyId"), values[name]) for name, one in told.items()
        }

    def _secrets(self) -> dict[str, Any]:
        secrets = self.aws("secretsmanager")
        found = {}
        for name in ("app/whole", "app/json"):
            labels = secrets.describe_secret(SecretId=name)["VersionIdsToStages"]
            text = secrets.get_secret_value(SecretId=name)["SecretString"]
            found[name] = (text, {version: sorted(given) for version, given in labels.items() if given})
        return found

    def _dashboards(self) -> dict[str, str]:
        cloudwatch = self.aws("cloudwatch")
        names = [one["DashboardName"] for one in cloudwatch.list_dashboards()["DashboardEntries"]]
        return {name: cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"] for name in names}

    def messages(self) -> list[str]:
        """What the topic was told since the last call."""
        found = []
        while True:
            answer = self.aws("sqs").receive_message(QueueUrl=self.ids["queue"], MaxNumberOfMessages=10).get("Messages")
            if not answer:
                return found
            for one in answer:
                found.append(json.loads(one["Body"])["Message"])
                self.aws("sqs").delete_message(QueueUrl=self.ids["queue"], ReceiptHandle=one["ReceiptHandle"])

    def proof_objects(self) -> str:
        """All objects of the bucket, as one text."""
        return "\n".join(self.bucket.get(one.key).decode() for one in self.bucket.list(""))


class Refusing:
    """Counts the requests that change something and refuses one of them for good, once: before or after it is done."""

    SEEN = ("Get", "Describe", "List", "Receive", "DeleteMessage")

    def __init__(self) -> None:
        self.writes: list[str] = []
        self.at: int | None = None
        self.done_first = False
        self.services: tuple[str, ...] = ()
        """Only these; by default all but S3."""
        self.code = "AccessDeniedException"
        self._hit = False

    def refuse(self, at: int | None, *, done_first: bool = False, services: tuple[str, ...] = ()) -> None:
        """Begin to count; the request of this number is refused."""
        self.writes, self.at, self.done_first, self.services, self._hit = [], at, done_first, services, False

    def stop(self) -> None:
        """Refuse nothing any more."""
        self.at = None

    def before(self, model: Any, **given: Any) -> None:
        """Before a request of boto3."""
        if self._counts(model) and not self.done_first and self._now():
            raise self._error(model)

    def after(self, model: Any, **given: Any) -> None:
        """After an answer to boto3."""
        if self._counts(model, again=True) and self.done_first and self._now():
            raise self._error(model)

    def _counts(self, model: Any, *, again: bool = False) -> bool:
        service = model.service_model.service_name
        wanted = service in self.services if self.services else service not in ("s3", "sqs")
        if not wanted or model.name.startswith(self.SEEN):
            return False
        if not again:
            self.writes.append(f"{service} {model.name}")
        return True

    def _now(self) -> bool:
        if self._hit or self.at is None or len(self.writes) != self.at + 1:
            return False
        self._hit = True
        return True

    def _error(self, model: Any) -> ClientError:
        return ClientError({"Error": {"Code": self.code, "Message": "not allowed"}}, model.name)
