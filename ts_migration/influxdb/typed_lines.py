"""Typed points as line protocol, one line a point. For copies of what was read back; rows of a source have an encoder.

It shares nothing with that encoder but the spelling of names, so that a copy does not repeat the encoder's faults.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from ts_migration.influxdb.blocks import Block, BlockColumn
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.retries import RetryPolicy, retrying
from ts_migration.line_protocol.mapping import FieldType
from ts_migration.line_protocol.names import escaped_key, escaped_measurement

_LINES_A_REQUEST = 5_000


def lines_of(block: Block) -> Iterator[str]:
    """The lines of a block's points; a point without a field has none."""
    tags = "".join(f",{escaped_key(key)}={escaped_key(value)}" for key, value in block.tags.items())
    head = escaped_measurement(block.measurement) + tags
    fields = [list(_fields(column)) for column in block.columns]
    for row, time_ns in enumerate(block.times.tolist()):
        text = ",".join(column[row] for column in fields if column[row])
        if text:
            yield f"{head} {text} {time_ns}"


def _fields(column: BlockColumn) -> Iterator[str]:
    """`key=value` of each point, empty where it has no value."""
    key = escaped_key(column.field)
    valid = None if column.valid is None else column.valid.tolist()
    for row, value in enumerate(column.values.tolist()):
        yield f"{key}={_spelled(value, column.kind)}" if valid is None or valid[row] else ""


def _spelled(value: Any, kind: FieldType) -> str:
    if kind is FieldType.STRING:
        return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
    if kind is FieldType.BOOLEAN:
        return "true" if value else "false"
    # The shortest text that reads back as the same float64.
    return f"{int(value)}i" if kind is FieldType.INTEGER else repr(float(value))


def write_points(target: Target, bucket: str, blocks: Iterable[Block], policy: RetryPolicy) -> None:
    """Write points to a bucket; all of them, or it raises.

    Raises:
        Permanent: the server refuses a line.
        Transient: it failed for now, after all retries.
    """
    lines = (line for block in blocks for line in lines_of(block))
    query = {"org": target.org, "bucket": bucket, "precision": "ns"}
    while portion := list(islice(lines, _LINES_A_REQUEST)):
        body = "\n".join(portion).encode("utf-8", "surrogateescape")

        def post(body: bytes = body) -> None:
            answer = target.request("POST", "/api/v2/write", query, body=body)
            if answer.status != 204:
                raise target.error(answer, f"the bucket {bucket!r} did not take the points")

        retrying(post, policy)
