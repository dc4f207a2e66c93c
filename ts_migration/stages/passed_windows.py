"""What is said of windows from which something was kept out: how many, what, where it lies."""

import shlex

from ts_migration.errors import MigrationError
from ts_migration.influxdb.refused import read_refused
from ts_migration.line_protocol.rejects import read_quarantine_head
from ts_migration.objects import ExportBucket, TablePlace
from ts_migration.stages.proof import TableProof, WindowProof, WindowStatus

NAMED_REASONS = 3
SHOWN_CHARACTERS = 160
"""Of a refused line, and of the server's words."""
HEAD_BYTES = 262_144
"""Of a quarantine: enough for its first reasons, whatever its size."""


def passed_windows(proof: TableProof, slug: str, place: TablePlace, bucket: ExportBucket) -> str:
    """One message for all of a table's windows that only passed and nobody accepted, "" where there is none.

    Args:
        proof: of the table.
        slug: of its job, for commands.
        place: where its objects lie.
        bucket: read for the reasons of the first such window.
    """
    passed = [window for window in proof.windows if window.status is WindowStatus.PASSED and not window.acceptance]
    if not passed:
        return ""
    count = "1 window passed but is" if len(passed) == 1 else f"{len(passed):,} windows passed but are"
    parts = [f"{count} not proven"]
    quarantined, refused = sum(one.quarantined for one in passed), sum(one.refused for one in passed)
    if quarantined:
        first = next(one for one in passed if one.quarantined)
        own = place.window(first.key)
        rows = f"{quarantined:,} row{'s' if quarantined > 1 else ''}"
        parts.append(f"{rows} quarantined ({_reasons(first, own.quarantine, bucket)})")
        parts.append(f"those of the first such window, {first.key}, are in {bucket.uri(own.quarantine)}")
    if refused:
        parts += _refused_of(passed, place, bucket)
    if quarantined or refused:
        parts.append(f"all of them: `ts-migration quarantine show {shlex.quote(slug)}`")
    if not quarantined and not refused:
        parts.append(f"window {passed[0].key}: {passed[0].reason.removeprefix('passed, not proven: ')}")
    parts.append(f'where that may count: `ts-migration accept {shlex.quote(slug)} --reason "…"`')
    return "; ".join(parts)


def refused_of_failed(proof: TableProof, slug: str, place: TablePlace, bucket: ExportBucket) -> str:
    """One message for the lines that InfluxDB refused of windows that failed their checks, "" where there is none.

    A field of another type fails the schema check as well, which does not tell what became of its points. Arguments as
    of `passed_windows`.
    """
    failed = [window for window in proof.windows if window.status is WindowStatus.FAILED and window.refused]
    if not failed:
        return ""
    count = "1 window that failed its checks" if len(failed) == 1 else f"{len(failed):,} windows that failed"
    show = f"all of them: `ts-migration quarantine show {shlex.quote(slug)}`"
    return f"of {count}: " + "; ".join([*_refused_of(failed, place, bucket), show])


def _refused_of(windows: list[WindowProof], place: TablePlace, bucket: ExportBucket) -> list[str]:
    """How many lines the server refused, the first of them, and where they lie."""
    refused = sum(one.refused for one in windows)
    first = next(one for one in windows if one.refused)
    own = place.window(first.key)
    lines = f"{refused:,} line{'s' if refused > 1 else ''}"
    return [
        f"{lines} refused by InfluxDB ({_refused(own.refused, bucket)})",
        f"those of the first such window, {first.key}, are in {bucket.uri(own.refused)}",
    ]


def _refused(key: str, bucket: ExportBucket) -> str:
    """The first lines that the server refused, with its words."""
    try:
        refused = read_refused(bucket.get(key))
    except (MigrationError, OSError, ValueError) as error:
        return f"they cannot be read: {error}"
    shown = [f"{_short(each.line)}: {_short(each.reason)}" for each in refused[:NAMED_REASONS]]
    return "; ".join([*shown, *(["and more"] if len(refused) > len(shown) else [])])


def _short(text: str) -> str:
    shown = text.replace("\n", "\\n")
    return shown if len(shown) <= SHOWN_CHARACTERS else shown[:SHOWN_CHARACTERS] + "…"


def _reasons(window: WindowProof, key: str, bucket: ExportBucket) -> str:
    """The different reasons at the head of a window's quarantine."""
    try:
        reasons: dict[str, None] = {}
        for entry in read_quarantine_head(bucket.get_range(key, 0, HEAD_BYTES)):
            reasons[f"{entry['column']}: {entry['text']}" if entry["column"] else entry["text"]] = None
            if len(reasons) >= NAMED_REASONS:
                break
    except (MigrationError, OSError, ValueError) as error:
        return f"the reasons of window {window.key} cannot be read: {error}"
    return "; ".join(reasons)
