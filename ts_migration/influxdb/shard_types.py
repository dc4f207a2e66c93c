"""Which types a field has in the shards of one window, where the bucket as a whole holds several.

InfluxDB pins a field's type per shard. `SHOW FIELD KEYS` tells the types of all shards and knows no range of time, and
a SELECT over shards that differ takes one type and hides values of the others (tsdb MapType). So each shard group's
stretch of the window is asked alone: within it a field has one type.
"""

from collections.abc import Iterator, Mapping, Sequence

from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.quoting import identifier, in_window
from ts_migration.influxdb.reader import query_series
from ts_migration.influxdb.shard_groups import groups_of
from ts_migration.influxdb.unpacking import kind_of
from ts_migration.windows import Window

_DEFAULT_GROUP_S = 7 * 86_400
"""Of a bucket that keeps points for ever and names no duration (v1/services/meta/data.go)."""
_STATEMENTS_A_QUERY = 20
_UNTOLD = "unsigned"
"""An unsigned value is read back as any integer is: where there are such shards, the window's types cannot be told."""


def types_in_window(
    target: Target,
    bucket: str,
    measurement: str,
    window: Window,
    bucket_types: Mapping[str, Sequence[str]],
    shard_group_s: int,
) -> dict[str, tuple[str, ...]]:
    """Types within a window of the fields that the bucket holds with several; nothing is asked where there is none.

    Args:
        target: the server.
        bucket: name of the bucket.
        measurement: whose fields they are.
        window: the range.
        bucket_types: field key -> types over all shards (`reader.field_types`).
        shard_group_s: the bucket's shard group duration, seconds; 0 for the server's choice.

    Returns:
        Field key -> sorted types, none where the window has no value; only of fields with several types in the bucket,
        and not of those that are unsigned somewhere.
    """
    told = sorted(field for field, types in bucket_types.items() if len(types) > 1 and _UNTOLD not in types)
    found: dict[str, set[str]] = {field: set() for field in told}
    chosen = ", ".join(f"last({identifier(field)}) AS {identifier(field)}" for field in told)
    parts = list(_shard_groups(window, shard_group_s or _DEFAULT_GROUP_S)) if told else []
    for start in range(0, len(parts), _STATEMENTS_A_QUERY):
        text = "; ".join(
            f"SELECT {chosen} FROM {identifier(measurement)} WHERE {in_window(part)}"  # noqa: S608 - quoted
            for part in parts[start : start + _STATEMENTS_A_QUERY]
        )
        for series in query_series(target, bucket, text):
            for row in series["values"]:
                for field, value in zip(series["columns"], row, strict=True):
                    if field in found and value is not None:
                        found[field].add(kind_of(field, type(value)).value)
    return {field: tuple(sorted(types)) for field, types in found.items()}


def _shard_groups(window: Window, duration_s: int) -> Iterator[Window]:
    """The window cut where shard groups of this duration begin."""
    for group in groups_of(window, duration_s):
        yield Window(max(group.start_ns, window.start_ns), min(group.end_ns, window.end_ns), window.key)
