"""The shard that a real server wrote, and the points that it holds."""

import gzip
import tarfile
from functools import cache

from ts_migration.influxdb.tsm.columns import FieldKind
from ts_migration_tests.influxdb.tsm.columns import bits
from ts_migration_tests.line_protocol.reference_parser import read, unescaped_name
from ts_migration_tests.shared_material import shared


def recorded_file() -> bytes:
    """The one TSM file of the recorded shard."""
    with tarfile.open(shared("conformance/tsm/shard_1031.tar")) as shard:
        (member,) = [member for member in shard.getmembers() if member.name.endswith(".tsm")]
        return shard.extractfile(member).read()


@cache
def recorded_points() -> dict[FieldKind, dict[bytes, list[tuple]]]:
    """What was written to it as line protocol, by the plain parser."""
    points, refused = read(gzip.decompress(shared("conformance/tsm/points.lp.gz").read_bytes()))
    assert not refused
    found: dict[FieldKind, dict[bytes, list[tuple]]] = {}
    for point in points:
        for field in point.fields:
            key = point.key + b"#!~#" + unescaped_name(field.key)
            value = bits(field.value) if field.type == "float" else field.value
            found.setdefault(FieldKind[field.type.upper()], {}).setdefault(key, []).append((point.time_ns, value))
    return {kind: {key: sorted(own) for key, own in sorted(keys.items())} for kind, keys in found.items()}
