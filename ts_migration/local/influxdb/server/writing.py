"""`/api/v2/write` and v1's `/write`: from a body to points that are on disk, or the refusal of a real server."""

from ts_migration.local.influxdb.control.refusals import Refusal
from ts_migration.local.influxdb.control.resources import NANOSECONDS, BucketInfo
from ts_migration.local.influxdb.line_protocol import parser
from ts_migration.local.influxdb.line_protocol.batch import LineProtocolError
from ts_migration.local.influxdb.server.exchange import Call, Reply
from ts_migration.local.influxdb.server.gzip_body import decoded
from ts_migration.local.influxdb.storage.field_types import PartialWrite
from ts_migration.local.influxdb.storage.wal import LogFailed

_MULTIPLIERS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


def write(call: Call) -> Reply:
    """`POST /api/v2/write`."""
    _ = call.authorization
    precision = call.query.get("precision") or "ns"
    if precision not in _MULTIPLIERS:
        raise Refusal("invalid", "invalid precision; valid precision units are ns, us, ms, and s")
    name = call.query.get("bucket")
    if not name:
        raise Refusal("not found", "bucket not found")
    body = _plain_body(call)
    bucket = call.services.catalog.bucket_named(call.organization().id, name)
    _store(call, bucket, body, _MULTIPLIERS[precision])
    return Reply(204)


def write_v1(call: Call) -> Reply:
    """`POST /write?db=&rp=&precision=`: a bucket is its own database, `db/rp` one with a retention policy.

    Unknown precisions count nanoseconds, `u` included, as in a real server (facts section 2).
    """
    db, rp = call.query.get("db"), call.query.get("rp")
    if not db:
        raise Refusal("invalid", "missing db")
    bucket = database_bucket(call, db, rp)
    if bucket is None:
        raise Refusal("not found", f'bucket "{db if not rp else f"{db}/{rp}"}" not found')
    multiplier = _MULTIPLIERS.get(call.query.get("precision", ""), 1)
    _store(call, bucket, _plain_body(call), multiplier)
    return Reply(204)


def database_bucket(call: Call, db: str, rp: str | None) -> BucketInfo | None:
    """The bucket behind a v1 database: `db` itself for the default policy, else `db/rp`; None where there is none."""
    org_id = call.authorization.org_id
    names = [db] if rp in (None, "", "autogen", "default") else [f"{db}/{rp}"]
    for bucket in call.services.catalog.buckets():
        if bucket.org_id == org_id and (bucket.name in names or bucket.name == f"{db}/{rp or 'autogen'}"):
            return bucket
    return None


def _plain_body(call: Call) -> bytes:
    return decoded(call.body, call.headers.get("content-encoding", ""))


def _store(call: Call, bucket: BucketInfo, body: bytes, multiplier_ns: int) -> None:
    if not call.authorization.allows("write", "buckets", bucket.org_id, bucket.id):
        raise Refusal("forbidden", "insufficient permissions for write")
    now = call.services.clock()
    try:
        batch = parser.parse(body, multiplier_ns, now)
    except LineProtocolError as error:
        raise Refusal("invalid", str(error)) from error
    retention = bucket.retention_seconds * NANOSECONDS
    try:
        outcome = call.services.engine.bucket(bucket.id).write(
            batch,
            oldest_ns=now - retention if retention else None,
            group_ns=bucket.shard_group_seconds * NANOSECONDS,
        )
    except LogFailed as error:
        outcome = f"engine: {error}"
    if isinstance(outcome, PartialWrite):
        dropped = f"partial write: {outcome.reason} dropped={outcome.dropped}"
        raise Refusal("unprocessable entity", f"failure writing points to database: {dropped}")
    if outcome is not None:
        raise Refusal("internal error", f"unexpected error writing points to database: {outcome}")
