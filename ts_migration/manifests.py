"""What a stage did, written last: files, counts, bytes, digests, parents, settings. The proof is their chain.

A manifest is immutable and names its parent by digest; a stage is current only while its parent's digest is the one it
names and its own settings' fingerprint still holds. Where objects lie is in `objects`; what stages do is in `stages`.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ts_migration.errors import Missing, Permanent
from ts_migration.objects import ExportBucket

SCHEMA_VERSION = 1
"""Version of every manifest's shape. A reader refuses a newer one instead of guessing."""

LoadName = Literal["line_protocol", "bulk"]
"""The ways into a bucket: requests that the server parses, or files that it takes as they are."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def fingerprint(*parts: object) -> str:
    """sha256 of the canonical JSON of settings: what a stage depended on."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()


def now_text() -> str:
    """Time of now as RFC 3339, UTC, to the second: for people, never for decisions."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Manifest(BaseModel):
    """What all manifests share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    written_at: str = Field(default_factory=now_text)

    def to_bytes(self) -> bytes:
        """Indented JSON in UTF-8, for people and programs."""
        return (self.model_dump_json(indent=2) + "\n").encode()

    @property
    def digest(self) -> str:
        """sha256 of the canonical JSON without `written_at` and `seconds`: children name their parent by it.

        Work that is done again and comes to the same result keeps its digest, and with it what was built on it. Values
        that are their defaults are left out, so that a later version may add some without disowning earlier proofs.
        """
        return _content_digest(self)

    def write(self, bucket: ExportBucket, key: str) -> Self:
        """Put it; the caller makes this its last act."""
        bucket.put(key, self.to_bytes(), "application/json")
        return self


def _content_digest(manifest: Manifest) -> str:
    content = manifest.model_dump(mode="json", exclude={"written_at", "seconds"}, exclude_defaults=True)
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class DamagedManifest(Permanent):
    """A manifest is there and cannot be read."""


AnyManifest = TypeVar("AnyManifest", bound=Manifest)


def read_manifest(kind: type[AnyManifest], bucket: ExportBucket, key: str) -> AnyManifest | None:
    """The manifest at a key, or None where there is none.

    Raises:
        DamagedManifest: it is there and broken.
        Permanent: it was written by a newer version.
    """
    body = bucket.get_or_none(key)
    if body is None:
        return None
    try:
        version = json.loads(body).get("schema_version")
        if version != SCHEMA_VERSION:
            raise Permanent(
                f"the manifest has schema version {version!r}",
                where=bucket.uri(key),
                allowed=f"version {SCHEMA_VERSION}",
                next_step="use the version of ts-migration that wrote it",
            )
        return kind.model_validate_json(body)
    except (ValidationError, ValueError, AttributeError) as error:
        raise DamagedManifest(
            f"the manifest is damaged: {error}",
            where=bucket.uri(key),
            next_step="put the object back from a copy, or have `ts-migration repair` set a window's manifest aside "
            "and make it again, with what follows from it (--dry-run tells what that takes)",
        ) from error


def require_manifest(kind: type[AnyManifest], bucket: ExportBucket, key: str, next_step: str) -> AnyManifest:
    """The manifest at a key.

    Raises:
        Missing: there is none; `next_step` says which stage writes it.
    """
    found = read_manifest(kind, bucket, key)
    if found is None:
        raise Missing(
            "the stage before this one has not finished: its manifest is missing",
            where=bucket.uri(key),
            next_step=next_step,
        )
    return found


class WindowRange(BaseModel):
    """The clipped window of a manifest, ns, half-open."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    start_ns: int
    end_ns: int


class DigestRecord(BaseModel):
    """A digest of points as manifests keep it (`validation.digest`).

    `lanes` are two unsigned 64-bit sums; `counts` are values per field key; `bin_values` and `bin_lanes` are values and
    lane sums per time bin (64 equal bins of the window), so that a mismatch is narrowed without reading all again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lanes: tuple[int, int]
    values: int
    counts: dict[str, int]
    bin_values: tuple[int, ...]
    bin_lanes: tuple[tuple[int, int], ...]
    first_ns: int | None
    last_ns: int | None


class TableManifest(Manifest):
    """Grid and mapping that a table was begun with. Later changes are refused, never taken over in silence."""

    stage: Literal["table"] = "table"
    database: str
    table: str
    job: str
    cron: str
    range_start_ns: int
    range_end_ns: int
    mapping: str
    """Canonical JSON of the mapping."""
    mapping_digest: Sha256
    mapping_options: Sha256
    """Fingerprint of the options that the mapping was resolved from."""


class ExportFile(BaseModel):
    """One Parquet file of an export: key, bytes and rows as UNLOAD's manifest states them, checked with the object."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    bytes: int
    rows: int


class ExportManifest(Manifest):
    """A successful UNLOAD (or several, where a window was split) of one window."""

    stage: Literal["export"] = "export"
    database: str
    table: str
    window: WindowRange
    columns: dict[str, str]
    """Column name -> Timestream type, in the order of the select list."""
    files: tuple[ExportFile, ...]
    rows: int
    bytes: int
    queries: tuple[str, ...]
    """Query ids of the UNLOADs."""
    aws_manifests: tuple[str, ...]
    """Keys of the kept copies of UNLOAD's own manifests."""
    settings: Sha256
    seconds: float


class Part(BaseModel):
    """One object of a conversion: bytes as they lie there, members (one = one request), lines, CRC-32 of the object.

    A shard file is one member, and its lines are the points that it was made of.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    bytes: int
    members: int
    lines: int
    crc32: int
    first_ns: int | None
    last_ns: int | None


class FramesRecord(BaseModel):
    """What pandera found in the exported batches (`validation.frames`): rows, failed checks, the first of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    failed: int
    failures: tuple[str, ...] = ()


class LineProtocolManifest(Manifest):
    """A converted window: rows = points + merged + quarantined + empty, to the row.

    The parts are line protocol, or shard files where the job is loaded in bulk (`form`).
    """

    stage: Literal["line_protocol"] = "line_protocol"
    database: str
    table: str
    window: WindowRange
    parent: Sha256
    mapping_digest: Sha256
    settings: Sha256
    parts: tuple[Part, ...]
    members_key: str
    """Object with the index of the members; "" where there is at most one, which its part tells all about."""
    rows: int
    points: int
    """Lines written: rows that became a line of their own."""
    merged: int
    quarantined: int
    empty: int
    """Rows without a single field left."""
    values: dict[str, int]
    """Field key -> values written."""
    text_bytes: int
    bytes: int
    expected: DigestRecord
    """Digest of the export frames, computed apart from the encoder: what the bucket must hold."""
    coverage_key: str
    """Object with the 4,096 x 64 histogram of the export frames; "" where `coverage_cells` are the histogram."""
    series: int
    seconds: float
    rewrite: dict[str, str] = Field(default_factory=dict)
    """Rewrite rules that were on."""
    rewritten: dict[str, int] = Field(default_factory=dict)
    """Rule -> rows that were written because of it, and not as the source has them."""
    reasons: dict[str, int] = Field(default_factory=dict)
    """Reason -> rows quarantined for it."""
    frames: FramesRecord | None = None
    """None: nobody looked at the batches, which is no pass."""
    quarantined_digest: int | None = None
    """Of the quarantined rows (`line_protocol.rejects`): one that is written again is noticed. None: not known."""
    coverage_cells: dict[int, int] | None = None
    """The histogram of a small window: cell -> values (`validation.coverage_cells`). None: it is an object."""
    form: LoadName = "line_protocol"
    """What the parts are, and so how they are loaded."""

    @property
    def altered(self) -> int:
        """Rows that the bucket does not hold as the source does: quarantined or rewritten."""
        return self.quarantined + sum(self.rewritten.values())

    def follows(self, rules: dict[str, str]) -> bool:
        """Whether these rewrite rules would come to the same: the same rules, or no row that any could touch."""
        return self.rewrite == rules or not self.altered


class UntouchedRecord(BaseModel):
    """Values that were in the window before the job's first load and that the load did not write over.

    `key` is the object with their hashes (`validation.untouched`); `counts` are values per field key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    values: int
    counts: dict[str, int]
    series: int


class LoadManifest(Manifest):
    """A loaded window: every member acknowledged by the server."""

    stage: Literal["load"] = "load"
    database: str
    table: str
    window: WindowRange
    parent: Sha256
    settings: Sha256
    org: str
    bucket: str
    bucket_id: str = ""
    """The server's id of the bucket: one that is dropped and made again by the same name holds none of the points."""
    measurement: str
    members: int
    points: int
    bytes: int
    requests: int
    retries: int
    resumed_members: int
    refused_lines: int
    """Lines that the server refused by name; they are in the quarantine."""
    connections: int = 0
    """Most requests that were in flight at a time."""
    seconds: float
    untouched: UntouchedRecord | None = None
    """None: the window was empty before, or no copy of what it held was kept."""


class VerdictRecord(BaseModel):
    """One check's verdict as it is kept. See `validation.verdict`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    passed: bool
    severity: Literal["ERROR", "WARN"]
    expected: str
    actual: str
    difference: str
    tolerance: str
    stage: str | None
    """The stage that broke the window, where the check can tell."""
    evidence: tuple[str, ...]


class VerdictsManifest(Manifest):
    """The verdicts of one window, bound to the digests of what they judged: current only while those are."""

    stage: Literal["verdicts"] = "verdicts"
    database: str
    table: str
    window: WindowRange
    export: Sha256
    line_protocol: Sha256
    load: Sha256
    mapping_digest: Sha256
    rules: Sha256
    """Fingerprint of tolerances and thresholds."""
    verdicts: tuple[VerdictRecord, ...]
    status: Literal["proven", "passed", "failed"]
    """passed: every check passed, but with a tolerance used or rows quarantined."""
    seconds: float

    @property
    def digest(self) -> str:
        """As of every manifest; of a sample all of which agrees, it is left out which rows, and how many, were drawn.

        Each check draws another sample. What was judged and found is the same, and so is what an acceptance names.
        """
        drawn = {"expected": "", "actual": "", "evidence": ()}
        told = (
            verdict.model_copy(update=drawn) if verdict.check == "sample" and verdict.difference == "0" else verdict
            for verdict in self.verdicts
        )
        return _content_digest(self.model_copy(update={"verdicts": tuple(told)}))


class AcceptanceManifest(Manifest):
    """Somebody answers for a window that passed and is not proven, as long as its verdicts are the ones they saw."""

    stage: Literal["acceptance"] = "acceptance"
    database: str
    table: str
    job: str
    window: WindowRange
    verdicts: Sha256
    """Digest of the verdicts that are accepted: others are not."""
    found: str
    """Why the window is not proven, as it was shown to whoever accepted it."""
    reason: str
    accepted_by: str

    @property
    def text(self) -> str:
        """Who, when and why, in a line."""
        return f"accepted by {self.accepted_by} at {self.written_at}: {self.reason}"
