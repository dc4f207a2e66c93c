"""Field types and tag keys that the target bucket holds already, against those of a mapping.

A field that the bucket holds with another type would be dropped point by point, or be unreadable over shards; a tag
that is a field there, or the other way round, gets another name in InfluxQL's answers. How they are asked for is in
`influxdb.reader`; what each shard of a window holds is the affair of the checks.
"""

from collections.abc import Set

from ts_migration.config import MigrationJob
from ts_migration.errors import Refused
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.reader import field_types, tag_keys
from ts_migration.line_protocol.mapping import Mapping


def require_types(job: MigrationJob, mapping: Mapping, target: Target, written: Set[str] | None = None) -> None:
    """Refuse a mapping whose fields the bucket holds with another type, or as tags, or whose tags it holds as fields.

    Args:
        job: names the bucket.
        mapping: its measurement and fields.
        target: InfluxDB.
        written: field keys that will be written; by default all of the mapping.

    Raises:
        Refused: which fields, and both types of each; which names are a tag on one side and a field on the other.
        Missing: there is no such bucket, or the token may not read it.
    """
    there = field_types(target, job.target_bucket, mapping.measurement)
    if not there:
        return
    wrong = [
        f"{field.field!r} is mapped to {field.type.value} and there it is {' and '.join(there[field.field])}"
        for field in mapping.fields
        if (written is None or field.field in written)
        and there.get(field.field, (field.type.value,)) != (field.type.value,)
    ]
    tags_there = tag_keys(target, job.target_bucket, mapping.measurement)
    wrong += [
        f"{field.field!r} is mapped to a field and there it is a tag"
        for field in mapping.fields
        if field.field in tags_there and (written is None or field.field in written)
    ]
    wrong += [f"{tag.tag!r} is mapped to a tag and there it is a field" for tag in mapping.tags if tag.tag in there]
    if wrong:
        raise Refused(
            f"the bucket {job.target_bucket!r} holds {mapping.measurement!r} with other types: "
            + "; ".join(dict.fromkeys(wrong)),
            where=f"{target.url}, job {job.job_name!r}",
            next_step="choose another target_bucket or mapping.measurement, rename it by mapping.rename, or "
            "delete the measurement there",
        )
