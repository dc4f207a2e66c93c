"""What a migration leaves as a way back is said with its end: who relies on an export should know when it goes."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from ts_migration.objects import ExportBucket
from ts_migration.operations.kept_exports import what_is_kept


class Lifecycle:
    """An S3 client that has rules, or none to tell."""

    def __init__(self, *rules: dict[str, Any]) -> None:
        self._rules = list(rules)

    def get_bucket_lifecycle_configuration(self, **_: Any) -> dict[str, Any]:
        if not self._rules:
            raise ClientError({"Error": {"Code": "NoSuchLifecycleConfiguration"}}, "GetBucketLifecycleConfiguration")
        return {"Rules": self._rules}


def rule(days: int, **more: Any) -> dict[str, Any]:
    return {"Status": "Enabled", "Expiration": {"Days": days}, **more}


@pytest.mark.parametrize(
    ("rules", "days"),
    [
        ([], None),
        ([rule(30, Filter={"Prefix": ""})], 30),
        ([rule(30, Filter={"Prefix": "timestream-export/"}), rule(7, Filter={"Prefix": "reports/"})], 30),
        ([rule(30, Prefix="timestream-export/"), rule(14, Filter={"And": {"Prefix": "time", "Tags": []}})], 14),
        ([rule(30, Filter={"Prefix": ""}, Status="Disabled")], None),
        ([{"Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}], None),
    ],
)
def test_a_lifecycle_rule_that_deletes_exports_is_told(rules, days):
    told = what_is_kept(ExportBucket(Lifecycle(*rules), "exports"))
    assert "s3://exports/timestream-export/ until `ts-migration cleanup`" in told
    assert (f"or for {days} days" in told) if days else ("lifecycle" not in told)
    assert "Timestream is only read" in told


def test_without_a_bucket_it_is_still_said_what_will_be_kept():
    assert "the exports in the export bucket until" in what_is_kept(None)
