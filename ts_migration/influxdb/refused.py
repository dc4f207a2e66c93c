"""Lines that the server refused while a window was loaded, as an object of gzipped NDJSON, with the server's words.

Which object that is, is in `objects`; rows that never became lines are in `line_protocol.rejects`.
"""

import gzip
import json
from collections.abc import Iterable

from ts_migration.influxdb.bodies import RefusedLine


def refused_bytes(lines: Iterable[RefusedLine]) -> bytes:
    """The object. Bytes that are no UTF-8 are kept as the line has them."""
    rows = [{"line": each.line, "reason": each.reason, "member": each.body} for each in lines]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return gzip.compress(text.encode("utf-8", "surrogateescape"), mtime=0)


def read_refused(body: bytes) -> list[RefusedLine]:
    """The lines of such an object, in its order.

    Raises:
        OSError, ValueError: it is damaged.
    """
    rows = [json.loads(line) for line in gzip.decompress(body).decode("utf-8", "surrogateescape").split("\n") if line]
    return [RefusedLine(row["member"], row["line"], row["reason"]) for row in rows]
