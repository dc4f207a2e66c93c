"""Writes over HTTP: statuses, texts, bodies, rights, and every recorded verdict."""

import gzip
from pathlib import Path

import pytest

from ts_migration.local.influxdb.line_protocol import parser
from ts_migration.local.influxdb.line_protocol.go_text import json_text, to_text
from ts_migration.local.influxdb.storage.bucket import Bucket
from ts_migration.local.influxdb.storage.shard_groups import DAY_NS
from ts_migration_tests.local.influxdb.conformance import Target
from ts_migration_tests.local.influxdb.verdicts import Verdict, verdicts

NOW = 1_795_341_272_660_376_375


@pytest.fixture
def bucket(target: Target) -> str:
    return target.new_bucket()


def test_every_accepted_verdict_is_stored_as_the_real_server_stored_it(tmp_path: Path):
    accepted = [verdict for verdict in verdicts() if verdict.stored is not None and verdict.status == 204]
    assert len(accepted) > 400
    for number, verdict in enumerate(accepted):
        bucket = Bucket(tmp_path / str(number))
        assert bucket.write(parser.parse(verdict.body, 1, NOW), oldest_ns=None, group_ns=7 * DAY_NS) is None
        found, wanted = stored_by(bucket), recorded(verdict)
        bucket.close()
        # One InfluxQL query over all measurements read the recording: it shows one type of a field that has several.
        types = {tuple(pair) for pairs in found[0].values() for pair in pairs}
        names = [name for name, _ in types]
        mixed = {name or "val0" for name in names if names.count(name) > 1}
        assert found[:2] == wanted[:2], verdict.body
        assert without(found[2], mixed) == without(wanted[2], mixed), verdict.body


def without(rows: dict, mixed: set[str]) -> dict:
    kept = {key: {name: value for name, value in row.items() if name not in mixed} for key, row in rows.items()}
    return {key: row for key, row in kept.items() if row}


def shown(text: str) -> str:
    return json_text(text)


def stored_by(bucket: Bucket) -> tuple[dict, list, dict]:
    snapshot = bucket.snapshot()
    fields = {
        shown(m): sorted([shown(n), t.value] for n, t in snapshot.field_types(m)) for m in snapshot.measurements()
    }
    series = sorted(shown(to_text(bucket._ids.keys[one])) for runs in snapshot.runs.values() for run in runs for one in run.series.tolist())  # fmt: skip
    rows: dict = {}
    for measurement in snapshot.measurements():
        for block in snapshot.blocks(measurement):
            tags = tuple((shown(key), shown(value)) for key, value in block.series.tags)
            for row, time in enumerate(block.times.tolist()):
                point = rows.setdefault((shown(measurement), tags, "now" if time == NOW else time), {})
                for column in block.columns:
                    if column.valid is None or column.valid[row]:
                        value = column.values[row]
                        # InfluxQL, which the recording was read with, has this name for a column without one.
                        point[shown(column.name) or "val0"] = shown(value) if isinstance(value, str) else value.item()
    return fields, series, rows


def recorded(verdict: Verdict) -> tuple[dict, list, dict]:
    stored = verdict.stored or {}
    fields = {one["name"]: sorted(one["values"]) for one in stored["fields"]}
    series = sorted(value[0] for one in stored["series"] for value in one["values"])
    rows: dict = {}
    for one in stored["rows"]:
        tags = tuple(sorted((k, v) for k, v in one.get("tags", {}).items() if v != ""))
        for time, *values in one["values"]:
            # Rows without a timestamp got the clock of the server that was recorded.
            key = (one["name"], tags, "now" if abs(time - NOW) < 10**15 else time)
            named = zip(one["columns"][1:], values, strict=True)
            rows.setdefault(key, {}).update({name: value for name, value in named if value is not None})
    return fields, series, rows


def test_a_checksum_that_is_wrong_is_told_from_a_stream_that_breaks_off(target: Target, bucket: str):
    good = gzip.compress(b"m f=1 1\n" * 100)
    spoiled = good[:-8] + bytes(8)
    assert target.write(bucket, spoiled, Content_Encoding="gzip") == (
        400,
        "unable to read data: gzip: invalid checksum",
    )
    assert target.write(bucket, good[:-9], Content_Encoding="gzip") == (500, "unable to read data: unexpected EOF")
    assert target.write(bucket, good + b"junk", Content_Encoding="gzip") == (
        400,
        "unable to read data: gzip: invalid header",
    )
    assert target.write(bucket, b"m f=1 1", Content_Encoding="br") == (204, None)


def test_a_token_without_the_right_to_write_is_told_so_and_nothing_is_written(target: Target, bucket: str):
    (info,) = target.api("GET", "/api/v2/buckets", {"name": bucket})["buckets"]
    other = target.api("GET", "/api/v2/buckets", {"name": target.new_bucket()})["buckets"][0]
    reader = token_for(target, ("read", info["id"]))
    stranger = token_for(target, ("write", other["id"]))
    writer = token_for(target, ("write", info["id"]))
    for token in (reader, stranger):
        assert target.write(bucket, b"m f=1 1", token=token) == (403, "insufficient permissions for write")
    assert target.write(bucket, b"m f=1 1", token="unknown") == (401, "unauthorized access")
    assert target.write(bucket, b"m f=1 1", token=writer) == (204, None)


def token_for(target: Target, *rights: tuple[str, str]) -> str:
    permissions = [
        {"action": action, "resource": {"type": "buckets", "id": id_, "orgID": target.org_id}} for action, id_ in rights
    ]
    made = target.api("POST", "/api/v2/authorizations", body={"orgID": target.org_id, "permissions": permissions})
    return made["token"]


def test_bearer_opens_as_token_does(target: Target, bucket: str):
    sent = {"Authorization": f"Bearer {target.token}"}
    answer = target.request("POST", "/api/v2/write", {"org": target.org, "bucket": bucket}, b"m f=1 1", sent)
    assert answer.status == 204


def test_the_first_version_of_the_api_writes_to_the_bucket_of_the_databases_name(target: Target, bucket: str):
    assert target.write(bucket, b"m f=1 1", path="/write") == (204, None)
    status, message = target.write("no_such", b"m f=1 1", path="/write")
    assert (status, message) == (404, 'bucket "no_such" not found')


def test_a_precision_scales_and_times_outside_the_range_are_refused(target: Target, bucket: str):
    query = {"org": target.org, "bucket": bucket, "precision": "s"}
    sent = {"Authorization": f"Token {target.token}"}
    answer = target.request("POST", "/api/v2/write", query, b"m f=1 9223372037", sent)
    assert answer.status == 400
    assert "time outside range" in answer.json()["message"]
