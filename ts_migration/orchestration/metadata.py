"""Manifests and verdicts as the metadata that an operator reads in Dagit. Values only; tables of at most 20 rows."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from ts_migration.manifests import ExportManifest, LineProtocolManifest, LoadManifest, VerdictRecord
from ts_migration.objects import ExportBucket, WindowPlace
from ts_migration.windows import iso

Metadata = Mapping[str, Any]
TABLE_ROWS = 20


def export_metadata(manifest: ExportManifest, bucket: ExportBucket, place: WindowPlace) -> Metadata:
    """What the export of a window did."""
    columns = [dg.TableColumn(name, type_) for name, type_ in manifest.columns.items()]
    return {
        **_common(manifest, bucket, place, "export"),
        "dagster/partition_row_count": manifest.rows,
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "rows": manifest.rows,
        "bytes": manifest.bytes,
        "files": dg.MetadataValue.table(
            records=[
                dg.TableRecord({"object": bucket.uri(file.key), "rows": file.rows, "bytes": file.bytes})
                for file in manifest.files[:TABLE_ROWS]
            ],
            schema=dg.TableSchema(
                [dg.TableColumn("object"), dg.TableColumn("rows", "int"), dg.TableColumn("bytes", "int")]
            ),
        ),
        "queries": ", ".join(manifest.queries),
        "rows/s": _rate(manifest.rows, manifest.seconds),
    }


def conversion_metadata(manifest: LineProtocolManifest, bucket: ExportBucket, place: WindowPlace) -> Metadata:
    """What the conversion of a window did."""
    return {
        **_common(manifest, bucket, place, "line_protocol"),
        "dagster/partition_row_count": manifest.points,
        "rows": manifest.rows,
        "points": manifest.points,
        "merged": manifest.merged,
        "quarantined": manifest.quarantined,
        "empty": manifest.empty,
        **{f"rewritten by {rule}": rows for rule, rows in manifest.rewritten.items()},
        "values": sum(manifest.values.values()),
        "series": manifest.series,
        "bytes": manifest.bytes,
        "text bytes": manifest.text_bytes,
        "members": sum(part.members for part in manifest.parts),
        "objects": bucket.uri(manifest.members_key.rpartition("/")[0] + "/"),
        "rows/s": _rate(manifest.rows, manifest.seconds),
    }


def load_metadata(manifest: LoadManifest, bucket: ExportBucket, place: WindowPlace) -> Metadata:
    """What the load of a window did."""
    return {
        **_common(manifest, bucket, place, "load"),
        "dagster/partition_row_count": manifest.points,
        "bucket": manifest.bucket,
        "measurement": manifest.measurement,
        "points": manifest.points,
        "bytes": manifest.bytes,
        "requests": manifest.requests,
        "retries": manifest.retries,
        "connections": manifest.connections,
        "members resumed": manifest.resumed_members,
        "lines refused": manifest.refused_lines,
        "points/s": _rate(manifest.points, manifest.seconds),
    }


def verdict_metadata(verdict: VerdictRecord) -> Metadata:
    """What a check compared, and the first differing points where it failed."""
    metadata: dict[str, Any] = {
        "expected": verdict.expected,
        "actual": verdict.actual,
        "difference": verdict.difference,
        "tolerance": verdict.tolerance,
    }
    if verdict.stage:
        metadata["broken by"] = verdict.stage
    if verdict.evidence:
        metadata["evidence"] = dg.MetadataValue.table(
            records=[dg.TableRecord({"finding": line}) for line in verdict.evidence[:TABLE_ROWS]],
            schema=dg.TableSchema([dg.TableColumn("finding")]),
        )
    return metadata


def _common(
    manifest: ExportManifest | LineProtocolManifest | LoadManifest, bucket: ExportBucket, place: WindowPlace, stage: str
) -> dict[str, Any]:
    return {
        "window": f"{iso(manifest.window.start_ns)} to {iso(manifest.window.end_ns)}",
        "manifest": bucket.uri(place.manifest(stage)),
        "digest": manifest.digest,
        "seconds": round(manifest.seconds, 3),
    }


def _rate(count: int, seconds: float) -> int:
    return round(count / seconds) if seconds > 0 else 0
