"""Compressed bodies: gzip with any number of members, and Go's words for what is wrong with one."""

import zlib

from isal import isal_zlib

from ts_migration.local.influxdb.control.refusals import Refusal

_HIDDEN = "An internal error has occurred - check server logs"


def decoded(body: bytes, encoding: str) -> bytes:
    """The plain body. Raises Refusal with the answer of a real server."""
    if encoding not in ("gzip", "x-gzip"):
        return body
    if len(body) < 10 or body[:3] != b"\x1f\x8b\x08":
        raise Refusal("internal error", _HIDDEN)
    parts: list[bytes] = []
    rest = body
    while rest:
        if rest[:3] != b"\x1f\x8b\x08"[: len(rest)]:
            raise Refusal("invalid", "unable to read data: gzip: invalid header")
        member = isal_zlib.decompressobj(wbits=31)
        try:
            parts.append(member.decompress(rest))
        except isal_zlib.error as error:  # type: ignore[misc]
            raise _broken(rest) from error
        if not member.eof:
            raise Refusal("internal error", "unable to read data: unexpected EOF")
        rest = member.unused_data
    return b"".join(parts)


def _broken(member: bytes) -> Refusal:
    """Go tells a wrong checksum from a broken stream; zlib says so in words, isal only in numbers."""
    try:
        zlib.decompressobj(wbits=31).decompress(member)
    except zlib.error as error:
        if "incorrect" in str(error):
            return Refusal("invalid", "unable to read data: gzip: invalid checksum")
    return Refusal("internal error", "unable to read data: flate: corrupt input")
