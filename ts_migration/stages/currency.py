"""Which finished stages still stand, and whether what they wrote is still needed.

A manifest stands while its window, parent and settings do. Its bulk files may be gone (the guide deletes them at the
end): that matters only while a later stage has yet to read them.
"""

from ts_migration.manifests import ExportManifest, LineProtocolManifest, LoadManifest, WindowRange, read_manifest
from ts_migration.objects import ExportBucket, ObjectInfo, WindowPlace
from ts_migration.stages.ways import way_made
from ts_migration.windows import Window


def window_range(window: Window) -> WindowRange:
    """A window as manifests keep it."""
    return WindowRange(key=window.key, start_ns=window.start_ns, end_ns=window.end_ns)


def is_loaded(bucket: ExportBucket, place: WindowPlace, converted: LineProtocolManifest) -> bool:
    """Whether a finished load sent exactly this conversion."""
    loaded = read_manifest(LoadManifest, bucket, place.manifest("load"))
    return loaded is not None and loaded.parent == converted.digest


def conversion_is_usable(bucket: ExportBucket, place: WindowPlace, converted: LineProtocolManifest) -> bool:
    """Whether its parts are loaded already, or still lie there whole."""
    return is_loaded(bucket, place, converted) or parts_are_there(bucket, place, converted)


def parts_are_there(bucket: ExportBucket, place: WindowPlace, converted: LineProtocolManifest) -> bool:
    """Whether the parts lie there whole, with their index where they have one."""
    there = {found.key: found.size for found in bucket.list(way_made(converted).folder(place))}
    indexed = not converted.members_key or converted.members_key in there
    return indexed and all(there.get(part.key) == part.bytes for part in converted.parts)


def export_is_usable(bucket: ExportBucket, place: WindowPlace, export: ExportManifest, rules: dict[str, str]) -> bool:
    """Whether its files are converted already as the rewrite rules want it, or still lie there whole."""
    converted = read_manifest(LineProtocolManifest, bucket, place.manifest("line_protocol"))
    if converted is not None and converted.parent == export.digest and converted.follows(rules):
        return conversion_is_usable(bucket, place, converted)
    return files_are_there(bucket, export)


def files_are_there(bucket: ExportBucket, export: ExportManifest) -> bool:
    """Whether the exported files lie there whole."""
    there: dict[str, ObjectInfo] = {}
    for folder in {file.key.rsplit("/", 1)[0] for file in export.files}:
        there.update((found.key, found) for found in bucket.list(folder + "/"))
    return all(file.key in there and there[file.key].size == file.bytes for file in export.files)
