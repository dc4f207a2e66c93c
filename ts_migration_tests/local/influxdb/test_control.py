"""The control API as `influxdb_client.InfluxDBClient` uses it, and as people with `curl` do."""

import gzip
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from influxdb_client import BucketRetentionRules, InfluxDBClient, Permission, PermissionResource
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from ts_migration.local.influxdb.control.catalog import Catalog
from ts_migration.local.influxdb.control.predicate import parse_predicate
from ts_migration.local.influxdb.control.refusals import Refusal
from ts_migration_tests.local.influxdb.conformance import Target
from ts_migration_tests.local.influxdb.embedded import Running


@pytest.fixture
def client(influxdb: Running) -> Iterator[InfluxDBClient]:
    with InfluxDBClient(url=influxdb.url, token=influxdb.token, org=influxdb.org) as client:
        yield client


def unique(name: str) -> str:
    return f"{name}_{uuid.uuid4().hex[:8]}"


def test_the_client_finds_the_server_healthy_and_its_version(client: InfluxDBClient):
    assert client.ping()
    assert client.version() == "2.7.11"
    assert client.health().status == "pass"
    assert client.health().version == "2.7.11"
    assert client.ready().status == "ready"
    assert client.build() == "OSS"


def test_the_client_creates_finds_updates_and_deletes_a_bucket(client: InfluxDBClient):
    buckets = client.buckets_api()
    rules = BucketRetentionRules(type="expire", every_seconds=0, shard_group_duration_seconds=2_592_000)
    made = buckets.create_bucket(bucket_name=unique("b"), retention_rules=rules, description="d", org="ons-energy")
    found = buckets.find_bucket_by_name(made.name)
    assert (found.id, found.retention_rules[0].shard_group_duration_seconds) == (made.id, 2_592_000)
    made.retention_rules[0].every_seconds = 7_776_000
    made.retention_rules[0].shard_group_duration_seconds = 86_400
    assert buckets.update_bucket(made).retention_rules[0].every_seconds == 7_776_000
    assert buckets.find_bucket_by_id(made.id).description == "d"
    buckets.delete_bucket(made)
    assert buckets.find_bucket_by_name(made.name) is None
    with pytest.raises(ApiException, match="bucket not found"):
        buckets.find_bucket_by_id(made.id)


def test_the_client_walks_through_pages_of_buckets(client: InfluxDBClient):
    buckets = client.buckets_api()
    names = {buckets.create_bucket(bucket_name=unique("page")).name for _ in range(7)}
    pages = [buckets.find_buckets(limit=3, offset=offset).buckets for offset in range(0, 300, 3)]
    assert names <= {bucket.name for page in pages for bucket in page}
    assert all(len(page) <= 3 for page in pages)
    assert names <= {bucket.name for bucket in buckets.find_buckets_iter(limit=2)}
    first, second = buckets.find_buckets(limit=2).buckets
    assert buckets.find_buckets(after=first.id, limit=1).buckets[0].id == second.id


def test_links_lead_to_the_next_and_the_previous_page(influxdb: Running):
    target = Target(*influxdb)
    links = target.api("GET", "/api/v2/buckets", {"limit": "1", "offset": "1"})["links"]
    assert links == {
        "self": "/api/v2/buckets?descending=false&limit=1&offset=1",
        "next": "/api/v2/buckets?descending=false&limit=1&offset=2",
        "prev": "/api/v2/buckets?descending=false&limit=1&offset=0",
    }


def test_the_client_finds_the_organisation_and_its_own_user(client: InfluxDBClient):
    (organization,) = client.organizations_api().find_organizations(org="ons-energy")
    assert organization.name == "ons-energy"
    assert client.organizations_api().find_organization(organization.id).id == organization.id
    assert client.users_api().me().name == "admin"
    made = client.organizations_api().create_organization(name=unique("org"))
    assert made.id in {one.id for one in client.organizations_api().find_organizations()}


def test_the_client_makes_and_deletes_a_token_that_may_only_read(client: InfluxDBClient):
    bucket = client.buckets_api().create_bucket(bucket_name=unique("rights"))
    resource = PermissionResource(type="buckets", id=bucket.id, org_id=bucket.org_id)
    authorizations = client.authorizations_api()
    made = authorizations.create_authorization(
        org_id=bucket.org_id, permissions=[Permission(action="read", resource=resource)]
    )
    assert made.token in {one.token for one in authorizations.find_authorizations()}
    with InfluxDBClient(url=client.url, token=made.token, org="ons-energy") as reader:
        with pytest.raises(ApiException) as caught:
            reader.write_api(write_options=SYNCHRONOUS).write(bucket=bucket.name, record="m f=1 1")
        assert (caught.value.status, json.loads(caught.value.body)["message"]) == (
            403,
            "insufficient permissions for write",
        )
        assert [one.name for one in reader.buckets_api().find_buckets().buckets] == [bucket.name]
        with pytest.raises(ApiException, match="is unauthorized"):
            reader.buckets_api().delete_bucket(bucket)
    authorizations.delete_authorization(made)
    with pytest.raises(ApiException, match="authorization not found"):
        authorizations.find_authorization_by_id(made.id)


def test_a_token_cannot_grant_what_it_does_not_have(client: InfluxDBClient):
    bucket = client.buckets_api().create_bucket(bucket_name=unique("rights"))
    mine = PermissionResource(type="authorizations", org_id=bucket.org_id)
    made = client.authorizations_api().create_authorization(
        org_id=bucket.org_id, permissions=[Permission(action="write", resource=mine)]
    )
    with InfluxDBClient(url=client.url, token=made.token, org="ons-energy") as narrow:
        wanted = Permission(action="write", resource=PermissionResource(type="buckets", org_id=bucket.org_id))
        with pytest.raises(ApiException) as caught:
            narrow.authorizations_api().create_authorization(org_id=bucket.org_id, permissions=[wanted])
        assert caught.value.status == 403


def test_the_client_writes_and_deletes_points(client: InfluxDBClient, influxdb: Running):
    bucket = client.buckets_api().create_bucket(bucket_name=unique("points")).name
    api = client.write_api(write_options=SYNCHRONOUS)
    api.write(bucket=bucket, record=b"m,a=1 f=1 1\nm,a=2 f=2 2")
    client.delete_api().delete("1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z", '_measurement="m" AND a="1"', bucket)
    with pytest.raises(ApiException, match="unable to parse 'm f='"):
        api.write(bucket=bucket, record="m f=")


def test_the_client_queries_by_flux_parsed_raw_and_as_rows(client: InfluxDBClient):
    bucket = client.buckets_api().create_bucket(bucket_name=unique("points")).name
    lines = [f"m,a={n % 2} f={n}.5,g={n}i {n}" for n in range(1, 41)]
    client.write_api(write_options=SYNCHRONOUS).write(bucket=bucket, record=lines)
    query = f'from(bucket: "{bucket}") |> range(start: 0, stop: 1) |> filter(fn: (r) => r._field == "f")'
    api = client.query_api()
    records = [record for table in api.query(query) for record in table.records]
    assert sorted(record.get_value() for record in records) == [n + 0.5 for n in range(1, 41)]
    assert len([row for row in api.query_csv(query) if row and row[-1] in ("0", "1")]) == 40
    raw = api.query_raw(query)
    assert raw.data.startswith(b"#datatype,string,long,")


def test_a_long_answer_is_compressed_for_those_who_ask_and_a_short_one_is_not(influxdb: Running):
    target = Target(*influxdb)
    headers = {"Authorization": f"Token {influxdb.token}", "Content-Type": "application/vnd.flux"}
    lines = b"".join(b"gz f=%d %d\n" % (n, n) for n in range(1, 200))
    written = target.request("POST", "/api/v2/write", {"org": influxdb.org, "bucket": "default"}, lines, headers)
    assert written.status == 204
    everything = b'from(bucket: "default") |> range(start: 0) |> filter(fn: (r) => r._measurement == "gz")'
    answers = {}
    for query in (everything, everything + b" |> limit(n: 1)"):
        for accepted in ("gzip", "identity"):
            asked = headers | {"Accept-Encoding": accepted}
            answers[query, accepted] = target.request("POST", "/api/v2/query", {"org": influxdb.org}, query, asked)
    long, short = answers[everything, "gzip"], answers[everything + b" |> limit(n: 1)", "gzip"]
    assert long.headers["Content-Encoding"] == "gzip"
    plain = answers[everything, "identity"]
    assert "Content-Encoding" not in plain.headers
    # _stop is the moment of the query.
    assert gzip.decompress(long.data).count(b"\r\n") == plain.data.count(b"\r\n") > 200
    assert "Content-Encoding" not in short.headers


def test_setup_is_allowed_once(influxdb: Running):
    http = urllib3.PoolManager(retries=False)
    assert http.request("GET", f"{influxdb.url}/api/v2/setup").json() == {"allowed": False}
    body = json.dumps({"username": "u", "org": "o", "bucket": "b", "password": "p"})
    answer = http.request("POST", f"{influxdb.url}/api/v2/setup", body=body)
    assert (answer.status, answer.json()["message"]) == (422, "onboarding has already been completed")


def test_unknown_paths_and_methods_are_refused_as_influxd_does(influxdb: Running):
    http = urllib3.PoolManager(retries=False)
    answer = http.request("GET", f"{influxdb.url}/api/v2/nothing")
    assert (answer.status, answer.json()) == (404, {"code": "not found", "message": "path not found"})
    answer = http.request("PUT", f"{influxdb.url}/api/v2/write")
    assert (answer.status, answer.headers["X-Platform-Error-Code"]) == (405, "method not allowed")


def test_metrics_show_the_size_of_the_log(influxdb: Running):
    text = urllib3.PoolManager().request("GET", f"{influxdb.url}/metrics").data.decode()
    assert "# TYPE storage_wal_size gauge" in text


def test_a_catalog_is_the_same_after_a_restart(tmp_path: Path):
    catalog = Catalog(tmp_path / "catalog.json")
    catalog.onboard(username="u", org="o", bucket="b", retention_seconds=0, token="t")
    organization = catalog.organization(name="o")
    bucket = catalog.create_bucket(organization.id, "ção", None, 86_400, 0)
    again = Catalog(tmp_path / "catalog.json")
    assert again.buckets() == catalog.buckets()
    assert again.by_token("t") == catalog.by_token("t")
    assert again.bucket_named(organization.id, "ção") == bucket
    assert bucket.shard_group_seconds == 3600


@pytest.mark.parametrize(
    ("predicate", "kept"),
    [
        ("", []),
        ('_measurement="m"', ["n1"]),
        ('_measurement="m" AND a="1"', ["m2", "n1"]),
        ('a!="1"', ["m1", "n1"]),
        ('(a="1" and (_measurement="n"))', ["m1", "m2"]),
        ('"_measurement"="m" AND b=""', ["n1"]),
        ("a=1", ["m2"]),
    ],
)
def test_a_predicate_chooses_by_measurement_and_tags(predicate: str, kept: list[str]):
    chosen = parse_predicate(predicate)
    series = {"m1": ("m", {"a": "1"}), "m2": ("m", {"a": "2"}), "n1": ("n", {"a": "1"})}
    assert [name for name, (measurement, tags) in series.items() if not chosen(measurement, tags)] == kept


@pytest.mark.parametrize("predicate", ['a="1" OR b="2"', "a='1'", "a=~/x/", "(a=1", "a=1)", "a", "_field=f", "a=1 b=2"])
def test_a_predicate_that_the_server_does_not_take_is_refused(predicate: str):
    with pytest.raises(Refusal):
        parse_predicate(predicate)
