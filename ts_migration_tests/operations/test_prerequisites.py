"""The dry run really looks: each component is used, what fails is named with the way out, and nothing stays behind."""

import json

import boto3
import pytest
import urllib3

from ts_migration.aws import client
from ts_migration.config import Environment, parse_config
from ts_migration.errors import Permanent, Transient
from ts_migration.objects import BULK_PREFIX, ExportBucket
from ts_migration.operations.findings import FindingStatus, failed
from ts_migration.operations.prerequisites import look_at_prerequisites
from ts_migration.stages.table import begin_table
from ts_migration.timestream.description import describe
from ts_migration.timestream.query import TimestreamQuery
from ts_migration_tests.embedded_stack import configuration

pytestmark = pytest.mark.stack

TABLES = ("generation_data", "load_data", "exchange_data")


@pytest.fixture
def variables(embedded_stack, monkeypatch):
    """os.environ as in a shell after `eval "$(ts-migration local env)"`."""
    for name, value in embedded_stack.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return dict(embedded_stack.variables)


def look(variables, *tables, text="", **options):
    return look_at_prerequisites(
        parse_config(text or configuration(*(tables or ("load_data",)))), Environment.read(variables), **options
    )


def only_failure(variables, *tables, text="", **options):
    found = look(variables, *tables, text=text, **options)
    assert len(found.failures) == 1, [str(finding) for finding in found.findings]
    return found.failures[0]


def test_a_stack_that_is_well_has_nothing_in_the_way(variables):
    reported = []
    found = look(variables, *TABLES, report=reported.append)
    assert found.ok
    assert tuple(reported) == found.findings
    assert {finding.status for finding in found.findings} == {FindingStatus.ACCESSIBLE}
    names = [finding.name for finding in found.findings]
    assert [name for name in names if name.startswith("UNLOAD of")] == [
        f"UNLOAD of ons_energy_data.{table}" for table in TABLES
    ]
    assert {"SNS topic", "Lambda function", "Step Functions state machine"} < set(names)
    assert [source.rows for source in found.sources] == [2000, 2000, 2000]


def test_nothing_stays_behind(variables):
    assert look(variables).ok
    bucket = ExportBucket(client("s3"), variables["S3_EXPORT_BUCKET"])
    assert list(bucket.list(f"{BULK_PREFIX}_probe/")) == []
    answer = urllib3.request(
        "GET",
        f"{variables['INFLUXDB_URL']}/api/v2/buckets?org={variables['INFLUXDB_ORG']}",
        headers={"Authorization": f"Token {variables['INFLUXDB_TOKEN']}"},
    )
    assert not [one["name"] for one in answer.json()["buckets"] if "probe" in one["name"]]


def test_variables_that_are_not_set_are_not_configured_and_no_failure(variables):
    unset = ("NOTIFICATION_TOPIC_ARN", "MIGRATION_ORCHESTRATOR_LAMBDA_ARN", "MIGRATION_STATE_MACHINE_ARN")
    found = look({name: value for name, value in variables.items() if name not in unset}, unload=False)
    assert found.ok
    assert [str(one.status) for one in found.findings].count("not configured") == 3


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("NOTIFICATION_TOPIC_ARN", "SNS topic"),
        ("MIGRATION_ORCHESTRATOR_LAMBDA_ARN", "Lambda function"),
        ("MIGRATION_STATE_MACHINE_ARN", "Step Functions state machine"),
    ],
)
def test_an_arn_of_something_that_is_not_there_is_a_failure(variables, variable, name):
    failure = only_failure({**variables, variable: variables[variable] + "-x"}, unload=False)
    assert failure.name == name
    assert variable in failure.next_step


def test_a_text_that_is_no_arn_is_a_failure_that_shows_the_form(variables):
    failure = only_failure({**variables, "NOTIFICATION_TOPIC_ARN": "my-topic"}, unload=False)
    assert "'my-topic' is no ARN" in failure.detail
    assert "arn:aws:sns:region:account:name" in failure.next_step


def test_a_missing_table_is_named_with_those_that_there_are(variables):
    failure = only_failure(variables, "generation_dat", unload=False)
    assert failure.name == "Timestream table ons_energy_data.generation_dat"
    assert "there is no table 'generation_dat'" in failure.detail
    assert "generation_data" in failure.detail


def test_a_missing_database_is_named(variables):
    failure = only_failure(variables, text=configuration("load_data").replace("ons_energy_data", "nowhere"))
    assert "there is no database 'nowhere'" in failure.detail


def test_a_range_without_rows_is_a_failure_that_says_where_the_rows_are(variables):
    text = configuration("load_data", start="2013-01-01", end="2014-01-01")
    failure = only_failure(variables, text=text)
    assert "has no row from 2013-01-01T00:00:00Z until 2014-01-01T00:00:00Z" in failure.detail
    assert "its rows lie between 2023-01-01T00:00:00Z and 2024-12-" in failure.detail


def test_a_missing_bucket_is_named_with_the_permissions_that_are_needed(variables):
    failure = only_failure({**variables, "S3_EXPORT_BUCKET": "no-such-bucket"})
    assert failure.name == "S3 bucket no-such-bucket"
    assert "NoSuchBucket" in failure.detail
    assert "s3:PutObject" in failure.next_step


def test_a_bucket_that_may_not_be_written_is_a_failure(variables, monkeypatch):
    # What S3 answers to a policy without s3:PutObject; the embedded S3 has no policies.
    from botocore.exceptions import ClientError

    def denied(_self, key, _body, _content_type=""):
        error = {"Error": {"Code": "AccessDenied", "Message": "not authorized to perform: s3:PutObject"}}
        from ts_migration.objects import raise_aws_error

        raise_aws_error(ClientError(error, "PutObject"), key)

    monkeypatch.setattr(ExportBucket, "put", denied)
    failure = only_failure(variables, "load_data")
    assert failure.name.startswith("S3 bucket")
    assert "s3:PutObject" in failure.detail


def test_a_bucket_of_another_region_is_a_failure(variables):
    failure = only_failure(variables, "load_data", region="eu-west-1")
    assert "it lies in us-east-1 and the tables in eu-west-1" in failure.detail


def test_an_unload_that_names_no_manifest_is_a_failure(variables, monkeypatch):
    monkeypatch.setattr(
        "ts_migration.operations.source_look.unload_one_row",
        lambda *_arguments: (_ for _ in ()).throw(Permanent("the UNLOAD ended without naming a manifest")),
    )
    failure = only_failure(variables, "load_data")
    assert failure.name == "UNLOAD of ons_energy_data.load_data"
    assert "timestream:Unload" in failure.next_step


def test_a_wrong_token_is_a_failure_and_is_not_shown(variables):
    failure = only_failure({**variables, "INFLUXDB_TOKEN": "hush-hush"}, unload=False)
    assert "401" in failure.detail
    assert "INFLUXDB_TOKEN" in failure.next_step
    assert "hush" not in str(failure)


def test_an_influxdb_that_cannot_be_reached_is_a_failure_in_one_line(variables):
    failure = only_failure({**variables, "INFLUXDB_URL": "http://127.0.0.1:1"}, unload=False)
    assert failure.detail.endswith("Connection refused")
    assert "\n" not in str(failure)


def test_an_organisation_that_is_not_there_is_named_with_those_that_are(variables):
    failure = only_failure({**variables, "INFLUXDB_ORG": "other"}, unload=False)
    assert "no organisation 'other'" in failure.detail
    assert "ons-energy" in failure.detail


def test_variables_that_are_needed_and_not_set_are_failures_that_name_them(variables):
    needed = ("S3_EXPORT_BUCKET", "INFLUXDB_TOKEN")
    found = look({name: value for name, value in variables.items() if name not in needed})
    assert [failure.detail for failure in found.failures] == [
        f"the environment variable {name} is not set" for name in needed
    ]


def test_the_token_may_come_from_secrets_manager(variables):
    secrets = client("secretsmanager")
    arn = secrets.create_secret(Name="influx", SecretString=json.dumps({"token": variables["INFLUXDB_TOKEN"]}))["ARN"]
    without = {name: value for name, value in variables.items() if name != "INFLUXDB_TOKEN"}
    try:
        assert look({**without, "INFLUXDB_TOKEN_SECRET_ARN": arn}, "load_data", unload=False).ok
        failure = only_failure({**without, "INFLUXDB_TOKEN_SECRET_ARN": arn + "x"}, "load_data", unload=False)
        assert failure.name == "InfluxDB"
        assert "INFLUXDB_TOKEN_SECRET_ARN" in str(failure)
    finally:
        secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


def test_credentials_that_are_refused_are_told_once_a_component(variables, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "SOMEBODYELSE")
    failure = only_failure(variables, "load_data", unload=False)
    assert "InvalidAccessKeyId" in failure.detail
    assert "credentials" in failure.next_step


def test_no_region_is_one_message(variables, monkeypatch):

    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(Permanent, match=r"no AWS Region is set.*--region"):
        look(variables)


def test_one_job_alone_can_be_looked_at(variables):
    found = look(variables, only="load_data job", unload=False)
    assert [source.job.source_table for source in found.sources] == ["load_data"]


def test_a_service_that_is_busy_is_not_said_to_lack_permissions():
    finding = failed("S3 bucket b", Transient("SlowDown: please"), "allow s3:PutObject")
    assert str(finding) == "S3 bucket b: SlowDown: please. Next: it may pass: try again."


def test_what_a_finding_says_ends_with_what_to_do():
    finding = failed("S3 bucket b", Transient("SlowDown: please", next_step="wait"))
    assert str(finding) == "S3 bucket b: SlowDown: please. Next: wait."


def test_clients_say_who_they_are_and_wait_longer_than_a_query_may_hold(variables):
    config = client("timestream-query").meta.config
    assert "ts-migration" in config.user_agent
    assert config.read_timeout > 60
    assert client("s3").meta.endpoint_url == variables["AWS_ENDPOINT_URL_S3"]
    assert isinstance(client("s3").list_buckets(), dict)
    assert boto3.__version__


@pytest.fixture
def begun(variables):
    """load_data, begun by monthly windows with its plain mapping."""
    config = parse_config(configuration("load_data"))
    job = config.migration_jobs[0]
    bucket = ExportBucket(client("s3"), variables["S3_EXPORT_BUCKET"])
    query = TimestreamQuery(client("timestream-query"))
    begin_table(job, config.place(job), describe(query, job.source_database, job.source_table), bucket)
    yield job
    bucket.delete_prefix(config.place(job).proof)


def test_a_table_that_was_begun_alike_and_one_that_was_not_begun_are_well(variables, begun):
    found = look(variables, "load_data", "generation_data", unload=False)
    assert found.ok
    details = {one.name: one.detail for one in found.findings if one.name.startswith("grid and mapping")}
    assert details == {
        "grid and mapping of job 'load_data job'": "as the table was begun with",
        "grid and mapping of job 'generation_data job'": "free: the table was not begun yet",
    }


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('    window: "day"\n', "with another grid: window is '0 0 * * *' and was '0 0 1 * *'"),
        ("    mapping: {rename: {subsystem: area}}\n", "the options of `mapping` differ"),
    ],
)
def test_the_dry_run_refuses_what_execute_refuses_of_a_begun_table(variables, begun, more, words):
    failure = only_failure(variables, text=configuration("load_data") + more, unload=False)
    assert failure.name == "grid and mapping of job 'load_data job'"
    assert words in failure.detail
    assert "ts-migration reset load-data-job" in failure.next_step


def test_a_mapping_that_cannot_be_made_is_no_matter_of_permissions(variables):
    text = configuration("load_data") + "    mapping: {rename: {subsystem: _field}}\n"
    failure = only_failure(variables, text=text, unload=False)
    assert "tag '_field'" in failure.detail
    assert "mapping.rename" in failure.next_step
    assert "allow" not in failure.next_step


def test_a_retention_shorter_than_the_data_is_old_is_a_failure(variables):
    failure = only_failure(variables, text=configuration("load_data") + "    retention_days: 365\n", unload=False)
    assert failure.name == "retention of job 'load_data job'"
    assert "retention_days is 365, and the oldest data of the range is up to 1," in failure.detail
    assert "InfluxDB would drop migrated points" in failure.detail
    assert "allowed: a retention_days above 1," in failure.detail
    assert "raise retention_days or take it out" in failure.next_step


def test_a_retention_that_keeps_everything_is_well(variables):
    assert look(variables, text=configuration("load_data") + "    retention_days: 36500\n", unload=False).ok


BULK = configuration("load_data", end="2023-02-14T23:59:59Z").replace(
    'target_bucket: "load_data"', 'target_bucket: "bulk_look"\n    load: bulk'
)


def asked(variables, method, path, body=None):
    url, headers = variables["INFLUXDB_URL"] + path, {"Authorization": f"Token {variables['INFLUXDB_TOKEN']}"}
    return json.loads(urllib3.request(method, url, headers=headers, json=body).data or b"{}")


def test_a_bulk_load_is_looked_at_by_a_restore_that_leaves_nothing(variables):
    found = look(variables, text=BULK)
    assert found.ok
    assert any(finding.name == "restore into InfluxDB bucket bulk_look" for finding in found.findings)
    names = [bucket["name"] for bucket in asked(variables, "GET", "/api/v2/buckets?limit=100")["buckets"]]
    assert not [name for name in names if "probe" in name]


def test_a_token_that_is_no_operators_may_not_restore_and_is_told_how_to_get_one(variables):
    org = asked(variables, "GET", f"/api/v2/orgs?org={variables['INFLUXDB_ORG']}")["orgs"][0]["id"]
    kinds = ("buckets", "orgs", "authorizations")
    rights = [
        {"action": action, "resource": {"type": kind, "orgID": org}} for kind in kinds for action in ("read", "write")
    ]
    made = asked(variables, "POST", "/api/v2/authorizations", {"orgID": org, "permissions": rights})
    failure = only_failure(variables | {"INFLUXDB_TOKEN": made["token"]}, text=BULK)
    assert "read:authorizations is unauthorized" in failure.detail
    assert "influx auth create --operator" in failure.next_step


def test_a_bulk_load_into_a_bucket_that_is_there_is_refused_before_it_begins(variables):
    org = asked(variables, "GET", f"/api/v2/orgs?org={variables['INFLUXDB_ORG']}")["orgs"][0]["id"]
    made = asked(variables, "POST", "/api/v2/buckets", {"orgID": org, "name": "bulk_look"})
    try:
        assert "was not made by a bulk load of this job" in only_failure(variables, text=BULK).detail
    finally:
        asked(variables, "DELETE", f"/api/v2/buckets/{made['id']}")
