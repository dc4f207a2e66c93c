"""Deleting points of a range. Which points may be deleted is for rollback and repair to decide; saving them too."""

import json
from collections.abc import Mapping

from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.quoting import predicate
from ts_migration.windows import Window, iso


def delete_points(
    target: Target, bucket: str, measurement: str, window: Window, tags: Mapping[str, str] | None = None
) -> None:
    """Delete the points of a measurement in [start, end), of all series or of those with these tags.

    The server's stop is inclusive, so `end - 1 ns` is sent. It answers when the tombstones are written.

    Raises:
        Transient: not reached, or a 5xx: it may be repeated.
        Permanent: the token may not, or the bucket is not there.
    """
    if window.empty:
        return
    body = {
        "start": iso(window.start_ns),
        "stop": iso(window.end_ns - 1),
        "predicate": predicate(measurement, tags),
    }
    answer = target.request(
        "POST",
        "/api/v2/delete",
        {"org": target.org, "bucket": bucket},
        headers={"Content-Type": "application/json"},
        body=json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogateescape"),
    )
    if answer.status != 204:
        raise target.error(answer, f"points of {measurement!r} in {window} could not be deleted")
