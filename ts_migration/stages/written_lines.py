"""The lines of a window's line protocol files at given times: members that hold none are passed over unread by lines.

What the lines say is read by `validation.refused_lines`, which knows the encoder's escapes and no part of the encoder.
"""

import gzip
from collections.abc import Iterable, Iterator

import numpy as np

from ts_migration.errors import Permanent
from ts_migration.influxdb.lines import split_lines
from ts_migration.line_protocol.files import members_of, read_members
from ts_migration.line_protocol.members import Member
from ts_migration.manifests import LineProtocolManifest
from ts_migration.objects import ExportBucket

_DIGITS = 19
"""Of a time in ns from September 2001 to the year 2286."""


def lines_at(bucket: ExportBucket, converted: LineProtocolManifest, times: Iterable[int]) -> Iterator[bytes]:
    """Lines at these times, ns. One member is in memory at a time.

    Raises:
        Missing: the parts or their index are gone.
        Permanent: a member is not what was written.
        Transient: a stream broke.
    """
    wanted = sorted(set(times))
    if not wanted or not converted.points:
        return
    members = [one for one in members_of(bucket, converted) if _holds(one, wanted)]
    spelled = {str(time_ns).encode() for time_ns in wanted}
    # Times of other lengths are not looked for by their place in the line: those members are cut into lines.
    fixed = np.array(sorted(spelled), f"S{_DIGITS}") if all(len(one) == _DIGITS for one in spelled) else None
    for member, body in read_members(bucket, members):
        text = gzip.decompress(body)
        if fixed is None or _ends_of_lines(text, fixed):
            yield from (line for line in split_lines(text) if line.rpartition(b" ")[2] in spelled)
        elif len(text) != member.text_bytes:
            raise Permanent("a member holds another text than was written", where=bucket.uri(member.part))


def _holds(member: Member, wanted: list[int]) -> bool:
    """Whether a time lies within a member's edges."""
    at = int(np.searchsorted(wanted, member.first_ns))
    return at < len(wanted) and wanted[at] <= member.last_ns


def _ends_of_lines(text: bytes, wanted: "np.ndarray[tuple[int], np.dtype[np.bytes_]]") -> bool:
    """Whether any line ends in one of the times. A line feed inside a string may give a false alarm, never hide one."""
    raw = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(raw == ord("\n"))
    if len(raw) and raw[-1] != ord("\n"):
        ends = np.append(ends, len(raw))
    ends = ends[ends >= _DIGITS]
    if not len(ends):
        return False
    tails = np.lib.stride_tricks.sliding_window_view(raw, _DIGITS)[ends - _DIGITS]
    return bool(np.isin(np.ascontiguousarray(tails).view(f"S{_DIGITS}").reshape(-1), wanted).any())
