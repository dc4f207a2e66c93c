"""Which mapping a range is checked by: options that were given, else the frozen one of the table, else the defaults.

Options come first: they are given where the points were written by somebody else, and a table that was also migrated by
this tool must not hide them.
"""

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ts_migration.config import MappingOptions, MigrationJob
from ts_migration.errors import Refused
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.line_protocol.resolution import resolve
from ts_migration.line_protocol.rules import Rules
from ts_migration.manifests import LineProtocolManifest, LoadManifest, TableManifest, read_manifest
from ts_migration.objects import PROOF_PREFIX, ExportBucket, TablePlace
from ts_migration.timestream.schema import TableSchema
from ts_migration.windows import Grid, Window

_READS = 16
"""Manifests fetched at a time."""


@dataclass(frozen=True)
class ChosenMapping:
    """A mapping, the rewrite rules that rows were loaded by, and where both come from, in words."""

    mapping: Mapping
    rewrite: Rules
    origin: str


@dataclass(frozen=True)
class _Frozen:
    """A table as it was begun, and what its windows in the range were made and loaded by."""

    place: TablePlace
    table: TableManifest
    converted: tuple[LineProtocolManifest, ...]
    loaded: tuple[LoadManifest, ...]


def choose_mapping(
    schema: TableSchema,
    window: Window,
    target_bucket: str,
    bucket: ExportBucket,
    options: MappingOptions | None = None,
    job: MigrationJob | None = None,
) -> ChosenMapping:
    """The mapping of a range's rows.

    Args:
        schema: of the source table, as it is now.
        window: the range.
        target_bucket: name of the bucket that is compared.
        bucket: the export bucket, which holds the manifests.
        options: as a job's `mapping`, where any were given.
        job: of the configuration that migrates this table into this bucket, if there is one.

    Raises:
        Refused: the table was begun with several mappings and none can be chosen; no exact mapping can be made.
    """
    if options is not None:
        measurement = options.measurement or schema.table
        return ChosenMapping(resolve(schema, options, measurement), options.rewrite.active, "the options given")
    frozen = _frozen(schema, window, bucket)
    here = [each for each in frozen if target_bucket in {load.bucket for load in each.loaded}]
    chosen = here or frozen
    if len({each.table.mapping_digest for each in chosen}) > 1:
        names = ", ".join(f"{Mapping.from_json(each.table.mapping).measurement!r}" for each in chosen)
        raise Refused(
            f"{schema.database}.{schema.table} was migrated with several mappings, to the measurements {names}",
            where=bucket.uri(PROOF_PREFIX),
            next_step="name the one to check by --measurement or --mapping",
        )
    if chosen:
        mapping = Mapping.from_json(chosen[0].table.mapping)
        origin = f"frozen in {bucket.uri(chosen[0].place.table_manifest)}"
        return ChosenMapping(mapping, _rules(one for each in chosen for one in each.converted), origin)
    if job is not None:
        origin = f"job {job.job_name!r} of the configuration"
        return ChosenMapping(resolve(schema, job.mapping, job.measurement), job.mapping.rewrite.active, origin)
    return ChosenMapping(resolve(schema, MappingOptions(), schema.table), {}, "the defaults")


def _frozen(schema: TableSchema, window: Window, bucket: ExportBucket) -> list[_Frozen]:
    """The tables that this tool began of a source table: one, or one a job where several jobs name it."""
    name = f"{schema.database}/{schema.table}"
    pattern = re.compile(rf"{re.escape(PROOF_PREFIX)}({re.escape(name)}(?:@[^/]+)?)/(.+)")
    keys: dict[str, set[str]] = {}
    for found in bucket.list(PROOF_PREFIX + name):
        if match := pattern.fullmatch(found.key):
            keys.setdefault(match[1], set()).add(found.key)
    result = []
    for own, there in sorted(keys.items()):
        place = TablePlace(own)
        if place.table_manifest in there and (table := read_manifest(TableManifest, bucket, place.table_manifest)):
            result.append(_with_windows(place, table, window, there, bucket))
    return result


def _with_windows(
    place: TablePlace, table: TableManifest, window: Window, there: set[str], bucket: ExportBucket
) -> _Frozen:
    grid = Grid(table.cron, table.range_start_ns, table.range_end_ns)
    inside = [
        place.window(each.key) for each in grid if each.start_ns < window.end_ns and window.start_ns < each.end_ns
    ]
    with ThreadPoolExecutor(_READS) as pool:
        converted = pool.map(
            lambda key: read_manifest(LineProtocolManifest, bucket, key),
            [key for key in (own.manifest("line_protocol") for own in inside) if key in there],
        )
        loaded = pool.map(
            lambda key: read_manifest(LoadManifest, bucket, key),
            [key for key in (own.manifest("load") for own in inside) if key in there],
        )
        return _Frozen(place, table, tuple(filter(None, converted)), tuple(filter(None, loaded)))


def _rules(converted: Iterable[LineProtocolManifest]) -> Rules:
    """The rules that rows of the range's windows were rewritten by.

    Raises:
        Refused: windows followed different ones.
    """
    found: dict[str, str] = {}
    for manifest in converted:
        for rule in manifest.rewritten:
            choice = manifest.rewrite[rule]
            if found.setdefault(rule, choice) != choice:
                raise Refused(
                    f"the windows of the range were rewritten by different rules: {rule} is {found[rule]!r} and "
                    f"{choice!r}",
                    where=f"window {manifest.window.key}",
                    next_step="check the windows one by one",
                )
    return found
