"""The asset `migration_report`: what an operator reads in Dagster, and where it leads."""

import json
from typing import Any

import dagster as dg

from ts_migration.objects import REPORT_PREFIX, ExportBucket
from ts_migration.orchestration.table_assets import REPORT
from ts_migration_tests.local.s3 import SECRET_KEY, s3_client
from ts_migration_tests.orchestration.scripted import Script

TOKEN = "a-token-that-nobody-may-read"


def materialised(script: Script, instance: dg.DagsterInstance) -> dict[str, Any]:
    """Metadata of the report, as Dagster keeps it."""
    asset = script.definitions.resolve_asset_graph().assets_def_for_key(REPORT)
    result = dg.materialize([asset], instance=instance)
    (event,) = result.asset_materializations_for_node("migration_report")
    return {name: value.value for name, value in event.metadata.items()}


def test_the_asset_links_both_files_and_tells_the_status_in_words(
    script: Script, instance: dg.DagsterInstance, s3_url: str
) -> None:
    told = materialised(script, instance)

    bucket = ExportBucket(s3_client(s3_url), "export")
    assert told["report"].startswith(f"s3://export/{REPORT_PREFIX}migration_report_")
    assert b"Not finished" in bucket.get(bucket.key_of(told["report"]))
    assert json.loads(bucket.get(bucket.key_of(told["results"])))["status"] == told["status"] == "missing"
    assert told["in words"].startswith("Not finished. ")
    assert told["next"] == "ts-migration execute --only load"
    assert "report in the S3 console" not in told, "this S3 is not Amazon's"
    (row,) = told["tables"].records if hasattr(told["tables"], "records") else told["tables"]
    # Other tests of the module may have left a window that is stale now.
    assert (row.data["job"], row.data["status"], row.data["windows"]) == ("load", "missing", 3)
    assert (row.data["proven"], row.data["stale"] + row.data["missing"]) == (0, 3)


def test_no_secret_is_in_the_assets_metadata_nor_in_its_files(
    script: Script, instance: dg.DagsterInstance, s3_url: str
) -> None:
    script.patch.setenv("INFLUXDB_TOKEN", TOKEN)
    script.patch.setenv("INFLUXDB_URL", f"http://me:{TOKEN}@127.0.0.1:9/?token={TOKEN}")
    told = materialised(script, instance)

    bucket = ExportBucket(s3_client(s3_url), "export")
    texts = [repr(told), *(bucket.get(bucket.key_of(told[file])).decode() for file in ("report", "results"))]
    texts += [str(entry) for entry in instance.all_logs(instance.get_runs()[0].run_id)]
    assert "http://127.0.0.1:9" in texts[1]
    assert not [text for text in texts if TOKEN in text or SECRET_KEY in text]


def test_a_file_in_amazons_s3_is_linked_to_its_page_in_the_console() -> None:
    import boto3

    amazons = boto3.client("s3", region_name="sa-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    url = ExportBucket(amazons, "exports").console_url("reports/a b.html")
    assert (
        url == "https://sa-east-1.console.aws.amazon.com/s3/object/exports?region=sa-east-1&prefix=reports%2Fa+b.html"
    )
