"""Manifests of windows made up for tests of what is read from them."""

from typing import Any

from ts_migration.manifests import (
    DigestRecord,
    ExportManifest,
    LineProtocolManifest,
    LoadManifest,
    VerdictRecord,
    VerdictsManifest,
)
from ts_migration.stages.currency import window_range
from ts_migration.stages.proof import Standing, WindowManifests
from ts_migration.validation.verdict import Check
from ts_migration.windows import Window

STANDING = Standing("a" * 64, "b" * 64, "c" * 64)
DIGEST = DigestRecord(
    lanes=(1, 2), values=20, counts={"f": 20}, bin_values=(20, *[0] * 63), bin_lanes=((1, 2), *[(0, 0)] * 63), first_ns=1, last_ns=2
)  # fmt: skip


def verdict(check: str, **changes: Any) -> VerdictRecord:
    plain = {
        "check": check, "passed": True, "severity": "ERROR", "expected": "20 values", "actual": "20 values", "difference": "0",
        "tolerance": "0", "stage": None, "evidence": (),
    }  # fmt: skip
    return VerdictRecord(**{**plain, **changes})


def five(**changes: dict[str, Any]) -> tuple[VerdictRecord, ...]:
    """The five verdicts; changes by check name."""
    return tuple(verdict(check.value, **changes.get(check.value, {})) for check in Check)


def window_manifests(
    window: Window,
    *,
    status: str = "proven",
    verdicts: tuple[VerdictRecord, ...] | None = None,
    standing: Standing = STANDING,
    quarantined: int = 0,
) -> WindowManifests:
    """A whole chain of one window."""
    common: dict[str, Any] = {"database": "d", "table": "t", "window": window_range(window), "seconds": 1.5}
    export = ExportManifest(
        **common, columns={"time_ns": "bigint"}, files=(), rows=10 + quarantined, bytes=0, queries=(), aws_manifests=(), settings="0" * 64
    )  # fmt: skip
    converted = LineProtocolManifest(
        **common, parent=export.digest, mapping_digest=standing.mapping_digest, settings="0" * 64, parts=(), members_key="k",
        rows=10 + quarantined, points=10, merged=0, quarantined=quarantined, empty=0, values={"f": 10, "g": 10}, text_bytes=100,
        bytes=50, expected=DIGEST, coverage_key="c", series=3,
    )  # fmt: skip
    loaded = LoadManifest(
        **common, parent=converted.digest, settings=standing.load_settings, org="o", bucket="b", measurement="t", members=1, points=10,
        bytes=50, requests=1, retries=0, resumed_members=0, refused_lines=0,
    )  # fmt: skip
    judged = VerdictsManifest(
        **common, export=export.digest, line_protocol=converted.digest, load=loaded.digest, mapping_digest=standing.mapping_digest,
        rules=standing.rules, verdicts=five() if verdicts is None else verdicts, status=status,
    )  # fmt: skip
    return WindowManifests(export, converted, loaded, judged)
