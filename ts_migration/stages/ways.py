"""Which way a job loads by, and by which the files of a conversion were made for. What a way is, is in `load_ways`."""

from ts_migration.config import MigrationJob
from ts_migration.manifests import LineProtocolManifest, LoadName
from ts_migration.stages.bulk_way import BulkWay
from ts_migration.stages.line_protocol_way import LineProtocolWay
from ts_migration.stages.load_ways import LoadWay

_WAYS: dict[LoadName, LoadWay] = {"line_protocol": LineProtocolWay(), "bulk": BulkWay()}


def way_of(job: MigrationJob) -> LoadWay:
    """The way that a job is configured to load by."""
    return _WAYS[job.load]


def way_made(converted: LineProtocolManifest) -> LoadWay:
    """The way that a conversion's files are for: a job may have been switched since."""
    return _WAYS[converted.form]
