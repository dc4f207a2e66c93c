"""Exports that are read once and deleted: what an UNLOAD says as a manifest, which is written nowhere."""

from collections.abc import Iterator
from contextlib import contextmanager

from ts_migration.manifests import ExportManifest, fingerprint
from ts_migration.objects import CHECKS_PREFIX, ExportBucket
from ts_migration.stages.currency import window_range
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.timestream.schema import TableSchema
from ts_migration.timestream.unload import Unloaded, Unloader, attempt_name
from ts_migration.windows import Window


@contextmanager
def scratch_export(
    schema: TableSchema, window: Window, query: TimestreamQuery, bucket: ExportBucket
) -> Iterator[ExportManifest]:
    """Export any range of a table to a folder of its own, which is deleted at the end, also by an error.

    Raises:
        Transient, Missing, Permanent: see `Unloader`.
    """
    scratch = f"{CHECKS_PREFIX}{attempt_name()}/"
    try:
        unloader = Unloader(query, bucket, schema)
        yield export_manifest(schema, unloader.window(window, lambda: scratch + attempt_name()))
    finally:
        bucket.delete_prefix(scratch)


def export_manifest(schema: TableSchema, unloaded: Unloaded) -> ExportManifest:
    """What an export says of itself, as a manifest that is not written; who keeps it adds settings and AWS's own."""
    return ExportManifest(
        database=schema.database,
        table=schema.table,
        window=window_range(unloaded.window),
        columns=unloaded.columns,
        files=unloaded.files,
        rows=unloaded.rows,
        bytes=unloaded.bytes,
        queries=unloaded.queries,
        aws_manifests=(),
        settings=fingerprint(),
        seconds=0.0,
    )
