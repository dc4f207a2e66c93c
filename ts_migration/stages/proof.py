"""What is proven of a table, from the manifests alone: no server but S3 is asked, and nothing is judged anew.

A verdict counts only while everything it judged still stands: the same export, conversion, load, mapping and rules.
Used by status, validate, the roll-up and the report.
"""

from collections.abc import Collection
from collections.abc import Mapping as Dict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.manifests import (
    AcceptanceManifest,
    AnyManifest,
    ExportManifest,
    LineProtocolManifest,
    LoadManifest,
    TableManifest,
    UntouchedRecord,
    VerdictRecord,
    VerdictsManifest,
    fingerprint,
    read_manifest,
)
from ts_migration.objects import ExportBucket, TablePlace
from ts_migration.stages.currency import window_range
from ts_migration.stages.load import load_settings
from ts_migration.stages.work import StageWork, works_of
from ts_migration.validation.table import WindowResult
from ts_migration.validation.trails import earliest
from ts_migration.validation.verdict import Stage, blame_text
from ts_migration.windows import Window

READERS = 24
"""Manifests fetched at a time: 300 windows have 1,200 of them."""


class WindowStatus(StrEnum):
    """What a window comes to. STALE: it was judged, and something it was judged by has changed since."""

    PROVEN = "proven"
    PASSED = "passed"
    FAILED = "failed"
    STALE = "stale"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Currency:
    """Whether verdicts still speak of what is there; if not, why."""

    current: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WindowManifests:
    """The manifests of one window, as far as there are any."""

    export: ExportManifest | None = None
    converted: LineProtocolManifest | None = None
    loaded: LoadManifest | None = None
    verdicts: VerdictsManifest | None = None
    acceptance: AcceptanceManifest | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What manifests must agree with now: the frozen mapping, where points go, and the rules of the checks."""

    mapping_digest: str
    load_settings: str
    rules: str
    rewrite: dict[str, str] = field(default_factory=dict)
    """Rewrite rules of the job."""
    bucket_id: str | None = None
    """Id of the target bucket as InfluxDB has it now, "" where there is none; None: InfluxDB was not asked."""


@dataclass(frozen=True)
class WindowProof:
    """What one window comes to. Counts are those of its manifests, 0 where there is none."""

    window: Window
    status: WindowStatus
    reason: str
    exported: bool = False
    """The export still stands for this window."""
    loaded: bool = False
    """The whole chain up to the load still stands."""
    settled: bool = False
    """Nothing is left to do: proven or passed; where the job has no validation, loaded."""
    rows: int = 0
    points: int = 0
    values: Dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    series: int = 0
    exported_lanes: tuple[int, int] | None = None
    """Digest of the values that were exported; None where the export is not converted, or has to be again."""
    quarantined: int = 0
    quarantined_digest: int | None = None
    """Of those rows; None where there are none, or an earlier version has converted them."""
    refused: int = 0
    rewritten: Dict[str, int] = field(default_factory=dict)
    """Rewrite rule -> rows that are written as it says."""
    reasons: Dict[str, int] = field(default_factory=dict)
    """Reason -> rows quarantined for it."""
    seconds: Dict[str, float] = field(default_factory=dict)
    """Stage -> seconds that its last work took."""
    works: tuple[StageWork, ...] = ()
    """The same with what was gone through in that time."""
    merged: int = 0
    """Rows that became one line with another row."""
    empty: int = 0
    """Rows without a single value: no point can be made of them."""
    verdicts: tuple[VerdictRecord, ...] = ()
    digest: str = ""
    """Digest of the verdicts' manifest: what an acceptance names."""
    finding: str = ""
    """The reason without who accepted it."""
    acceptance: AcceptanceManifest | None = None
    """Who accepted the window, which passed and is not proven, with these very verdicts; None where nobody did."""
    untouched: UntouchedRecord | None = None
    """Values of others that were there before the load; None where there were none, or no copy was kept."""

    @property
    def accepted(self) -> str | None:
        """Who accepted it, when and why, in a line; None where nobody did."""
        return self.acceptance.text if self.acceptance else None

    @property
    def cleared(self) -> bool:
        """Proven, or passed and accepted: what a cutover may count."""
        return self.status is WindowStatus.PROVEN or self.acceptance is not None

    @property
    def key(self) -> str:
        """Partition key."""
        return self.window.key

    @property
    def result(self) -> WindowResult:
        """As the whole-table checks take it."""
        return WindowResult(
            key=self.key,
            status=self.status.value,
            reason=self.reason,
            values=self.values,
            series=self.series,
            refused=self.refused,
            rows=self.rows,
            kept_out=self.quarantined + self.refused + sum(self.rewritten.values()),
            accepted=self.acceptance is not None,
            untouched=self.untouched.counts if self.untouched else {},
            untouched_series=self.untouched.series if self.untouched else 0,
        )


@dataclass(frozen=True)
class TableProof:
    """What is proven of one job's table, window by window in time order."""

    job: str
    source: str
    bucket: str
    measurement: str
    windows: tuple[WindowProof, ...]

    @cached_property
    def statuses(self) -> dict[str, int]:
        """Status -> windows, all five of them."""
        return {status.value: sum(window.status is status for window in self.windows) for status in WindowStatus}

    @property
    def rows(self) -> int:
        """Rows exported."""
        return sum(window.rows for window in self.windows)

    @property
    def points(self) -> int:
        """Points written."""
        return sum(window.points for window in self.windows)

    @property
    def values(self) -> int:
        """Field values written."""
        return sum(sum(window.values.values()) for window in self.windows)

    @property
    def proven(self) -> bool:
        """Whether every window is."""
        return all(window.status is WindowStatus.PROVEN for window in self.windows)

    @property
    def cleared(self) -> bool:
        """Whether every window is proven, or passed and accepted."""
        return all(window.cleared for window in self.windows)

    @property
    def accepted(self) -> tuple[WindowProof, ...]:
        """Windows that are not proven and were accepted."""
        return tuple(window for window in self.windows if window.acceptance)

    @property
    def complete(self) -> bool:
        """Whether every window is settled."""
        return all(window.settled for window in self.windows)

    @property
    def status(self) -> WindowStatus:
        """The worst of its windows: failed, then missing, stale, passed, proven."""
        order = (WindowStatus.FAILED, WindowStatus.MISSING, WindowStatus.STALE, WindowStatus.PASSED)
        there = {window.status for window in self.windows}
        return next((status for status in order if status in there), WindowStatus.PROVEN)

    @property
    def digest(self) -> str:
        """Fingerprint of every window's verdicts, and of who accepted which."""
        accepted = {window.key: window.acceptance.digest for window in self.windows if window.acceptance}
        verdicts = [(window.key, window.status.value, window.digest) for window in self.windows]
        return fingerprint(verdicts, accepted) if accepted else fingerprint(verdicts)


def proof_of(
    config: MigrationConfig,
    job: MigrationJob,
    bucket: ExportBucket,
    bucket_id: str | None = None,
    *,
    only: Collection[str] | None = None,
) -> TableProof:
    """Read a job's manifests and say what each window of its grid comes to. Lists once and gets concurrently.

    Args:
        config: the rules of the checks, and the place of the objects.
        job: whose table it is.
        bucket: the export bucket.
        bucket_id: of the target bucket as InfluxDB has it now, see `Standing`; by default that is not looked at.
        only: partition keys of the windows whose manifests are read; by default all of the grid.

    Raises:
        Permanent: S3 denies the bucket, or a manifest is damaged.
        Transient: S3 failed for now.
    """
    place = config.place(job)
    there = {found.key for found in bucket.list(place.proof)}
    table = read_manifest(TableManifest, bucket, place.table_manifest) if place.table_manifest in there else None
    standing = Standing(
        mapping_digest=table.mapping_digest if table else "",
        load_settings=load_settings(job),
        rules=config.validation_rules.fingerprint,
        rewrite=job.mapping.rewrite.active,
        bucket_id=bucket_id,
    )
    with ThreadPoolExecutor(READERS, thread_name_prefix="proof") as pool:
        windows = [window for window in job.grid if only is None or window.key in only]
        read = pool.map(lambda window: _read(bucket, place, window, there), windows)
        proofs = tuple(
            window_proof(window, manifests, standing, validated=job.validation_enabled)
            for window, manifests in zip(windows, read, strict=True)
        )
    return TableProof(job.job_name, job.source, job.target_bucket, job.measurement, proofs)


def currency_of(window: Window, manifests: WindowManifests, standing: Standing) -> Currency:
    """Whether the verdicts of a window still speak of what is there. Pure."""
    verdicts, loaded = manifests.verdicts, manifests.loaded
    if verdicts is None or loaded is None or manifests.converted is None or manifests.export is None:
        return Currency(False, ("a stage or its verdicts are missing",))
    chain = broken_links(window, manifests, standing)
    stale = [
        reason
        for changed, reason in (
            (verdicts.window != window_range(window), "the checks judged another range"),
            (verdicts.export != manifests.export.digest, "the export was made again after the checks"),
            (verdicts.line_protocol != manifests.converted.digest, "the conversion was made again after the checks"),
            (verdicts.load != loaded.digest, "the load was made again after the checks"),
            (verdicts.mapping_digest != standing.mapping_digest, "the mapping is another one"),
            (verdicts.rules != standing.rules, "validation_rules were changed after the checks"),
        )
        if changed
    ]
    reasons = tuple(dict.fromkeys((*chain, *stale)))
    return Currency(not reasons, reasons)


def broken_links(window: Window, manifests: WindowManifests, standing: Standing) -> tuple[str, ...]:
    """Where the chain of export, conversion and load does not hold (any more).

    Pure; missing stages are no broken links.
    """
    export, converted, loaded = manifests.export, manifests.converted, manifests.loaded
    wanted = window_range(window)
    links = [
        (export is not None and export.window != wanted, "the export is of another range"),
        (converted is not None and converted.window != wanted, "the conversion is of another range"),
        (
            converted is not None and converted.mapping_digest != standing.mapping_digest,
            "the conversion was made with another mapping",
        ),
        (
            converted is not None and not converted.follows(standing.rewrite),
            "mapping.rewrite was changed after the conversion, which has rows that it may treat differently",
        ),
        (
            export is not None and converted is not None and converted.parent != export.digest,
            "the export was made again after the conversion",
        ),
        (
            converted is not None and loaded is not None and loaded.parent != converted.digest,
            "the conversion was made again after the load",
        ),
        (
            loaded is not None and loaded.settings != standing.load_settings,
            "the load went to another bucket or measurement",
        ),
        (
            loaded is not None and standing.bucket_id is not None and loaded.bucket_id != standing.bucket_id,
            "the bucket that it was loaded into is not there any more"
            + (": another one has its name" if standing.bucket_id else ""),
        ),
    ]
    return tuple(reason for broken, reason in links if broken)


def window_proof(
    window: Window, manifests: WindowManifests, standing: Standing, *, validated: bool = True
) -> WindowProof:
    """What a window's manifests come to. Pure.

    Args:
        window: of the grid, clipped.
        manifests: as far as there are any.
        standing: what they must agree with now.
        validated: whether the job is checked at all.
    """
    export, converted, loaded, verdicts = (
        manifests.export,
        manifests.converted,
        manifests.loaded,
        manifests.verdicts,
    )
    broken = broken_links(window, manifests, standing)
    whole = export is not None and converted is not None and loaded is not None and not broken
    status, reason = _status(window, manifests, standing, broken, validated=validated)
    acceptance = _standing_acceptance(manifests, status)
    told = ""
    if acceptance:
        told = f"; {acceptance.text}"
    elif manifests.acceptance and status is not WindowStatus.PROVEN:
        told = f"; was {manifests.acceptance.text}; that holds no more"
    return WindowProof(
        window=window,
        status=status,
        reason=reason + told,
        finding=reason,
        exported=export is not None and export.window == window_range(window),
        loaded=whole,
        settled=status in (WindowStatus.PROVEN, WindowStatus.PASSED) or (whole and not validated),
        rows=export.rows if export else 0,
        points=loaded.points if loaded else 0,
        values=converted.values if converted else {},
        bytes=loaded.bytes if loaded else 0,
        series=converted.series if converted else 0,
        exported_lanes=_exported_lanes(window, manifests, standing),
        quarantined=converted.quarantined if converted else 0,
        quarantined_digest=converted.quarantined_digest if converted else None,
        refused=loaded.refused_lines if loaded else 0,
        rewritten=converted.rewritten if converted else {},
        reasons=converted.reasons if converted else {},
        seconds={stage.stage: stage.seconds for stage in (export, converted, loaded, verdicts) if stage is not None},
        works=tuple(works_of(export, converted, loaded, verdicts)),
        merged=converted.merged if converted else 0,
        empty=converted.empty if converted else 0,
        verdicts=verdicts.verdicts if verdicts else (),
        digest=verdicts.digest if verdicts else "",
        acceptance=acceptance,
        untouched=loaded.untouched if loaded else None,
    )


def _standing_acceptance(manifests: WindowManifests, status: WindowStatus) -> AcceptanceManifest | None:
    """The acceptance of a window that passed, as long as it is of the verdicts that there are."""
    acceptance, verdicts = manifests.acceptance, manifests.verdicts
    holds = (
        status is WindowStatus.PASSED
        and acceptance is not None
        and verdicts is not None
        and acceptance.verdicts == verdicts.digest
    )
    return acceptance if holds else None


def _exported_lanes(window: Window, manifests: WindowManifests, standing: Standing) -> tuple[int, int] | None:
    """Only of a conversion that stands: under another mapping or other rules the same rows have another digest."""
    export, converted = manifests.export, manifests.converted
    if export is None or converted is None:
        return None
    made = WindowManifests(export=export, converted=converted)
    return None if broken_links(window, made, standing) else converted.expected.lanes


def _status(
    window: Window, manifests: WindowManifests, standing: Standing, broken: tuple[str, ...], *, validated: bool
) -> tuple[WindowStatus, str]:
    verdicts = manifests.verdicts
    stages = {"exported": manifests.export, "converted": manifests.converted, "loaded": manifests.loaded}
    undone = [name for name, manifest in stages.items() if manifest is None]
    if broken:
        return WindowStatus.STALE, "; ".join(broken)
    if undone:
        return WindowStatus.MISSING, f"not {undone[0]} yet" if len(undone) < 3 else "nothing was done yet"
    if not validated:
        # Even where it was checked before: a job that is not to be checked proves nothing.
        return WindowStatus.MISSING, "loaded, not proven: validation_enabled is false"
    if verdicts is None:
        return WindowStatus.MISSING, "loaded, not checked"
    currency = currency_of(window, manifests, standing)
    if not currency.current:
        return WindowStatus.STALE, "; ".join(currency.reasons)
    return WindowStatus(verdicts.status), reason_of(verdicts, manifests)


def reason_of(verdicts: VerdictsManifest, manifests: WindowManifests) -> str:
    """Why a judged window is what it is, in a line."""
    failed = [verdict for verdict in verdicts.verdicts if not verdict.passed]
    if failed:
        names = ", ".join(verdict.check for verdict in failed)
        stage = earliest(Stage(verdict.stage) for verdict in failed if verdict.stage)
        return f"{names} failed" + (f": {blame_text(stage)}" if stage else "") + _refused_beside(manifests)
    if verdicts.status == "proven":
        return "export equals bucket, value by value"
    reasons = [f"{verdict.check} by its tolerance" for verdict in verdicts.verdicts if verdict.severity == "WARN"]
    if manifests.converted and manifests.converted.quarantined:
        rows = manifests.converted.quarantined
        reasons.append(f"{rows:,} row{'s' if rows > 1 else ''} quarantined")
    for rule, rows in sorted(manifests.converted.rewritten.items() if manifests.converted else ()):
        reasons.append(f"{rows:,} row{'s' if rows > 1 else ''} rewritten by {rule}")
    if refused := _refused_beside(manifests):
        reasons.append(refused.removeprefix("; "))
    return "passed, not proven: " + ", ".join(reasons)


def _refused_beside(manifests: WindowManifests) -> str:
    """What else is to be said of a window with refused lines: in one that failed, they may be why."""
    lines = manifests.loaded.refused_lines if manifests.loaded else 0
    return f"; {lines:,} line{'s' if lines > 1 else ''} refused by the server" if lines else ""


def _read(bucket: ExportBucket, place: TablePlace, window: Window, there: set[str]) -> WindowManifests:
    own = place.window(window.key)

    def read(kind: type[AnyManifest], key: str) -> AnyManifest | None:
        return read_manifest(kind, bucket, key) if key in there else None

    return WindowManifests(
        export=read(ExportManifest, own.manifest("export")),
        converted=read(LineProtocolManifest, own.manifest("line_protocol")),
        loaded=read(LoadManifest, own.manifest("load")),
        verdicts=read(VerdictsManifest, own.verdicts),
        acceptance=read(AcceptanceManifest, own.acceptance),
    )
