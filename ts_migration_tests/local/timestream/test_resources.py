"""Databases and tables through plain boto3."""

import os
from typing import Any

import boto3
import pytest
import urllib3
from botocore.exceptions import ClientError

from ts_migration_tests.local.s3 import ACCESS_KEY, SECRET_KEY
from ts_migration_tests.local.timestream.conftest import Table, new_table
from ts_migration_tests.local.timestream.embedded import write_client


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_a_database_is_made_described_and_deleted(server: str) -> None:
    write = write_client(server)
    made = write.create_database(DatabaseName="made.once-1", Tags=[{"Key": "team", "Value": "grid"}])["Database"]
    assert made["Arn"] == "arn:aws:timestream:us-east-1:123456789012:database/made.once-1"
    described = write.describe_database(DatabaseName="made.once-1")["Database"]
    assert described == made
    assert write.list_tags_for_resource(ResourceARN=made["Arn"])["Tags"] == [{"Key": "team", "Value": "grid"}]
    write.untag_resource(ResourceARN=made["Arn"], TagKeys=["team"])
    assert write.list_tags_for_resource(ResourceARN=made["Arn"])["Tags"] == []
    changed = write.update_database(DatabaseName="made.once-1", KmsKeyId="alias/other")["Database"]
    assert changed["KmsKeyId"] == "alias/other"
    write.delete_database(DatabaseName="made.once-1")
    with pytest.raises(write.exceptions.ResourceNotFoundException):
        write.describe_database(DatabaseName="made.once-1")


def test_a_name_is_used_once(table: Table) -> None:
    with pytest.raises(table.write.exceptions.ConflictException):
        table.write.create_database(DatabaseName=table.database)
    with pytest.raises(table.write.exceptions.ConflictException):
        table.write.create_table(**table.address)


def test_a_database_with_tables_is_not_deleted(table: Table) -> None:
    with pytest.raises(table.write.exceptions.ValidationException):
        table.write.delete_database(DatabaseName=table.database)
    table.write.delete_table(**table.address)
    table.write.delete_database(DatabaseName=table.database)


def test_names_outside_the_services_alphabet_are_refused_in_its_words(server: str) -> None:
    with pytest.raises(ClientError, match=r"1 validation error detected: Value 'a b' at 'databaseName'") as error:
        write_client(server).create_database(DatabaseName="a b")
    assert code(error) == "ValidationException"


def test_a_table_has_the_services_defaults(server: str) -> None:
    made = new_table(server, MagneticStoreWriteProperties={"EnableMagneticStoreWrites": False})
    described = made.write.describe_table(**made.address)["Table"]
    assert described["TableStatus"] == "ACTIVE"
    assert described["RetentionProperties"] == {
        "MemoryStoreRetentionPeriodInHours": 6,
        "MagneticStoreRetentionPeriodInDays": 73000,
    }
    assert described["MagneticStoreWriteProperties"] == {"EnableMagneticStoreWrites": False}
    assert described["Schema"] == {"CompositePartitionKey": [{"Type": "MEASURE"}]}


def test_retention_outside_its_range_is_refused(table: Table) -> None:
    with pytest.raises(ClientError, match="memoryStoreRetentionPeriodInHours") as error:
        table.write.update_table(
            **table.address,
            RetentionProperties={"MemoryStoreRetentionPeriodInHours": 9000, "MagneticStoreRetentionPeriodInDays": 1},
        )
    assert code(error) == "ValidationException"


def test_a_partition_key_keeps_its_name_and_changes_its_enforcement(server: str) -> None:
    key: dict[str, Any] = {"Type": "DIMENSION", "Name": "plant", "EnforcementInRecord": "REQUIRED"}
    made = new_table(server, Schema={"CompositePartitionKey": [key]})
    assert made.write.describe_table(**made.address)["Table"]["Schema"]["CompositePartitionKey"] == [key]
    loose = {**key, "EnforcementInRecord": "OPTIONAL"}
    made.write.update_table(**made.address, Schema={"CompositePartitionKey": [loose]})
    assert made.write.describe_table(**made.address)["Table"]["Schema"]["CompositePartitionKey"] == [loose]
    with pytest.raises(made.write.exceptions.ValidationException):
        made.write.update_table(**made.address, Schema={"CompositePartitionKey": [{**key, "Name": "other"}]})


def test_lists_are_paged_by_tokens(table: Table) -> None:
    names = [f"table-{number:02d}" for number in range(7)]
    for name in names:
        table.write.create_table(DatabaseName=table.database, TableName=name)
    seen: list[str] = []
    request: dict[str, Any] = {"DatabaseName": table.database, "MaxResults": 3}
    while True:
        page = table.write.list_tables(**request)
        assert len(page["Tables"]) <= 3
        seen += [each["TableName"] for each in page["Tables"]]
        if "NextToken" not in page:
            break
        request["NextToken"] = page["NextToken"]
    assert seen == sorted([*names, table.name])
    assert table.write.describe_database(DatabaseName=table.database)["Database"]["TableCount"] == 8


def test_endpoint_discovery_leads_back_to_this_server(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the URL in the environment, boto3 asks for the endpoint and goes on with the answer, scheme included."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL_TIMESTREAM_WRITE", server)
    monkeypatch.setenv("AWS_ENDPOINT_URL_TIMESTREAM_QUERY", server)
    keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY, "region_name": "sa-east-1"}
    write = boto3.client("timestream-write", **keys)
    created = write.create_database(DatabaseName="discovered")["Database"]
    assert created["Arn"].startswith("arn:aws:timestream:sa-east-1:")
    query = boto3.client("timestream-query", **keys)
    assert query.describe_account_settings()["QueryPricingModel"] == "BYTES_SCANNED"
    assert query.describe_endpoints()["Endpoints"][0]["Address"] == server


def test_a_request_without_a_signature_is_refused_as_by_aws(server: str) -> None:
    answer = urllib3.request(
        "POST", server, body=b"{}", headers={"X-Amz-Target": "Timestream_20181101.ListDatabases"}, retries=False
    )
    assert answer.status == 403
    assert answer.json()["__type"].endswith("#MissingAuthenticationTokenException")


def test_operations_that_are_not_served_are_refused_by_name(server: str) -> None:
    with pytest.raises(ClientError, match="does not support ListBatchLoadTasks") as error:
        write_client(server).list_batch_load_tasks()
    assert code(error) == "UnknownOperationException"


def test_health_says_pass_and_how_much_there_is(table: Table) -> None:
    health = urllib3.request("GET", table.url + "/_embedded/health", retries=False)
    assert health.status == 200
    assert health.json()["status"] == "pass"
    assert health.json()["tables"] >= 1
