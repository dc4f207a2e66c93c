"""`migration_config.yaml` and the environment as typed values; every mistake is one clear line, all mistakes in one go.

A line names the job, the key, the value found and what is allowed. Nothing is read at import, no server is asked, and
secrets stay out of messages and `repr`. What the values do is elsewhere.
"""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from ts_migration.config_messages import job_label, line_of, not_allowed
from ts_migration.config_values import (
    BucketName,
    Compression,
    Connections,
    Cron,
    DurationS,
    EndNs,
    Hours,
    Owner,
    Section,
    Text,
    TimeNs,
    TimestreamName,
    exclusive_end_ns,
    time_ns,
)
from ts_migration.config_yaml import read_yaml
from ts_migration.cutover_actions import WebhookRequest
from ts_migration.cutover_settings import ACTIONS, CutoverSettings, job_problems
from ts_migration.errors import ConfigurationError, Missing
from ts_migration.manifests import LoadName, fingerprint
from ts_migration.notification_settings import MetricSettings, NotificationSettings
from ts_migration.objects import TablePlace
from ts_migration.query_settings import QueryPair, QuerySettings, pair_problems
from ts_migration.windows import Grid, iso

DEFAULT_CONFIG = "migration_config.yaml"


class RewriteRules(Section):
    """What is put in place of what line protocol cannot say, instead of quarantining the row. All off by default.

    What each does is in `line_protocol.rewrites`. They may change at any time: only windows with such rows are redone.
    """

    trailing_backslash: Literal["drop"] | None = None
    """Backslashes at the end of a tag value."""
    newline_in_tag: Literal["space", "escape"] | None = None
    """Line feeds in a tag value; escape writes a backslash and an n."""
    float_not_finite: Literal["drop"] | None = None
    """NaN and infinities: the point is written without that field."""
    string_too_long: Literal["cut"] | None = None
    """Strings above 1 MiB."""
    integer_not_exact: Literal["round"] | None = None
    """Integers that `types` makes floats and that no float equals."""

    @property
    def active(self) -> dict[str, str]:
        """Rule -> what it puts in place, of those that are on."""
        return self.model_dump(exclude_none=True)


class MappingOptions(Section):
    """How rows become points where the defaults are not wanted (see `line_protocol.mapping`)."""

    measurement: Text | None = None
    """Name of the measurement; the source table's name by default."""
    dimensions_as_fields: tuple[str, ...] = Field(default=(), strict=False)
    """Dimensions that become string fields instead of tags."""
    rename: dict[str, Text] = Field(default_factory=dict)
    """Dimension, measure column or measure_name -> tag or field key."""
    single_measure: Literal["field_per_measure_name", "value_columns"] = "field_per_measure_name"
    """value_columns keeps `measure_value::double` as field key and measure_name as a tag."""
    keep_measure_name: bool = True
    """Whether multi-measure rows keep their measure_name as a tag."""
    types: dict[str, Literal["float"]] = Field(default_factory=dict)
    """Field key -> wider type. Only integer to float; an integer that a float cannot hold exactly is quarantined."""
    timestamp_measures: Literal["integer_ns", "rfc3339"] = "integer_ns"
    rewrite: RewriteRules = Field(default_factory=RewriteRules)
    """Not part of the frozen mapping."""


class MigrationJob(Section):
    """One table to migrate, over one range of time, into one bucket."""

    job_name: Text
    source_database: TimestreamName
    source_table: TimestreamName
    target_bucket: BucketName
    start_time: TimeNs
    """Start, ns, included."""
    end_time: EndNs
    """End, ns, excluded, as resolved from the text."""
    batch_size: int = Field(default=10_000, ge=1, le=1_000_000)
    """Lines of one write request. A smaller one also cuts what is converted already and not yet loaded."""
    validation_enabled: bool = True
    rollback_enabled: bool = False
    window: Cron = "0 0 1 * *"
    mapping: MappingOptions = Field(default_factory=MappingOptions)
    retention_days: int | None = Field(default=None, ge=1)
    """Set on the bucket at the end; None keeps points for ever."""
    shard_group_duration: DurationS = Field(default=30 * 86_400, ge=3600)
    """Seconds. 30 days is the vendor's advice for backfills; below such a retention, what InfluxDB itself takes."""
    write_connections: Connections = None
    """Requests in flight at a time; None (`auto`) finds the number that brings most."""
    compression: Compression = 1
    """gzip level of the members; None (`none`) sends them uncompressed, for a fast network and a busy server."""
    load: LoadName = "line_protocol"
    """How points get into the bucket; `bulk` restores shard files, see docs/bulk-load.md."""
    proof: Literal["influxql", "storage"] = "influxql"
    """How the checksum reads the bucket back; `storage` takes shards as they are stored, for windows too big to ask."""
    allow_existing_data: bool = False
    series_limit: int = Field(default=10_000_000, ge=1)
    """Series with their field keys above which `plan` warns. 10 million is the vendor's ceiling for one node."""
    owners: tuple[Owner, ...] = Field(default=(), strict=False)
    """Whom Dagit names beside the table."""

    @model_validator(mode="before")
    @classmethod
    def _shard_group_fits_retention(cls, given: Any) -> Any:
        """A short retention_days alone must not collide with a default that nobody wrote."""
        if not isinstance(given, dict) or "shard_group_duration" in given:
            return given
        days = given.get("retention_days")
        if isinstance(days, int) and 0 < days <= 30:
            return {**given, "shard_group_duration": 86_400 if days >= 2 else 3600}
        return given

    @property
    def gzip_level(self) -> int:
        """Level of the members in S3, which are compressed however they are sent."""
        return 1 if self.compression is None else self.compression

    @property
    def slug(self) -> str:
        """The job's name made fit for ids and keys."""
        plain = "".join(
            each for each in unicodedata.normalize("NFKD", self.job_name) if not unicodedata.combining(each)
        )
        slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
        if any(each.isalnum() and not each.isascii() for each in plain):
            # Letters without an ASCII form would be lost, and two names become one.
            slug = f"{slug}-{hashlib.sha256(self.job_name.encode()).hexdigest()[:6]}".strip("-")
        return slug or "job"

    @cached_property
    def grid(self) -> Grid:
        """The windows of the job."""
        return Grid(self.window, self.start_time, self.end_time)

    @property
    def measurement(self) -> str:
        """Name of the measurement that the points are written to."""
        return self.mapping.measurement or self.source_table

    @property
    def source(self) -> str:
        """The source table as people write it."""
        return f"{self.source_database}.{self.source_table}"

    @property
    def placeholders(self) -> dict[str, str]:
        """What the job's placeholders in `cutover` stand for (`placeholders.OF_JOB`)."""
        return {
            "job": self.job_name,
            "bucket": self.target_bucket,
            "measurement": self.measurement,
            "source_database": self.source_database,
            "source_table": self.source_table,
        }

    @property
    def mapping_fingerprint(self) -> str:
        """Fingerprint of the options that the mapping is resolved from."""
        return fingerprint(self.measurement, self.mapping.model_dump(mode="json", exclude={"rewrite"}))


class MigrationSettings(Section):
    """What applies to all jobs."""

    parallel_jobs: int = Field(default=1, ge=1, le=64)
    progress_monitoring_interval: int = Field(default=60, ge=1)
    """Seconds between status lines."""
    max_retry_attempts: int = Field(default=3, ge=0, le=100)
    retry_delay_seconds: float = Field(default=2.0, ge=0, le=86_400)
    allowed_hours: Hours | None = None
    """Between which times of day `execute` begins windows (see `allowed_hours`); None: at any time."""
    log_format: Literal["text", "json"] = "text"
    """Of the lines of the log files."""


class ValidationRules(Section):
    """Tolerances of the checks. Zero difference is the default for values."""

    record_count_tolerance: float = Field(default=0.0, ge=0, lt=1)
    """Share of records that may be missing or too many before record_count fails."""
    sample_accuracy_threshold: float = Field(default=1.0, gt=0, le=1)
    """Share of the sampled points that must agree bit for bit."""
    sample_size: int = Field(default=100, ge=1, le=1000)
    """Rows asked again of Timestream per window."""
    reread_source: bool = True
    """Whether late_arrivals, catch-up and the last look before a cutover read all values of the source again."""

    @property
    def fingerprint(self) -> str:
        """What verdicts of windows depend on."""
        return fingerprint(self.model_dump(mode="json", exclude={"reread_source"}))


class MigrationConfig(Section):
    """The whole file."""

    migration_jobs: tuple[MigrationJob, ...] = Field(min_length=1, strict=False)
    migration_settings: MigrationSettings = Field(default_factory=MigrationSettings)
    validation_rules: ValidationRules = Field(default_factory=ValidationRules)
    cutover: CutoverSettings = Field(default_factory=CutoverSettings)
    query_settings: QuerySettings = Field(default_factory=QuerySettings)
    queries: tuple[QueryPair, ...] = Field(default=(), strict=False)
    notifications: NotificationSettings = Field(default_factory=NotificationSettings)
    metrics: MetricSettings = Field(default_factory=MetricSettings)

    def queries_of(self, job: MigrationJob) -> tuple[QueryPair, ...]:
        """The pairs that a job's table is asked, without the default ones."""
        return tuple(pair for pair in self.queries if pair.job in (None, job.job_name, job.slug))

    def job(self, name: str) -> MigrationJob:
        """The job of a name or slug.

        Raises:
            Missing: no job has it.
        """
        for job in self.migration_jobs:
            if name in (job.job_name, job.slug):
                return job
        raise Missing(f"there is no job {name!r}", allowed=", ".join(repr(job.job_name) for job in self.migration_jobs))

    def key_prefix(self, job: MigrationJob) -> tuple[str, ...]:
        """Asset key prefix of a job's table: database and table, and the job where two jobs name one table."""
        shared = sum(other.source == job.source for other in self.migration_jobs) > 1
        parts = (job.source_database, job.source_table, *((job.slug,) if shared else ()))
        return tuple(re.sub(r"[^A-Za-z0-9_]", "_", part) for part in parts)

    def place(self, job: MigrationJob) -> TablePlace:
        """Where the objects of a job's table lie.

        The first job of a table has the plain place, so that a second job added later does not disown its proof; `@` is
        in no name of Timestream's.
        """
        first = next(other for other in self.migration_jobs if other.source == job.source)
        own = "" if first.slug == job.slug else f"@{job.slug}"
        return TablePlace(f"{job.source_database}/{job.source_table}{own}")


class Environment(BaseModel):
    """What the commands take from environment variables. Read where a command or a resource starts, never at import."""

    model_config = ConfigDict(frozen=True)

    s3_export_bucket: str = ""
    influxdb_url: str = ""
    influxdb_token: SecretStr = SecretStr("")
    influxdb_token_secret_arn: str = ""
    influxdb_org: str = ""
    notification_topic_arn: str = ""
    migration_orchestrator_lambda_arn: str = ""
    migration_state_machine_arn: str = ""
    ts_migration_config: str = ""

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> "Environment":
        """From a mapping such as os.environ."""
        return cls.model_validate(
            {name: variables[name.upper()] for name in cls.model_fields if variables.get(name.upper())}
        )

    def require(self, *names: str) -> None:
        """Raise one error that names every variable of these that is not set.

        Raises:
            ConfigurationError: with a line per missing variable.
        """
        missing = [name for name in names if not _plain(getattr(self, name))]
        if missing:
            raise ConfigurationError(
                [f"the environment variable {name.upper()} is not set" for name in missing], where="environment"
            )


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def load_config(path: Path) -> MigrationConfig:
    """Load and check a configuration file.

    Raises:
        Missing: there is no such file.
        ConfigurationError: every mistake, a line each.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError):
        raise Missing(
            f"there is no configuration file {path}",
            next_step="copy scripts/migration_config.yaml and edit it, or pass --config",
        ) from None
    except (PermissionError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"it cannot be read: {error}"], where=str(path)) from None
    return parse_config(text, where=str(path))


def parse_config(text: str, where: str = "configuration") -> MigrationConfig:
    """Check the text of a configuration file. See `load_config`."""
    raw = read_yaml(text, where)
    problems: list[str] = []
    config: MigrationConfig | None = None
    try:
        config = MigrationConfig.model_validate(raw)
    except ValidationError as error:
        lines = (line_of(dict(problem), raw, _SECTIONS) for problem in error.errors(include_url=False))
        problems += [line for line in lines if line]
    problems += _range_problems(raw)
    if config is not None:
        problems += _cross_problems(config)
    if problems or config is None:
        raise ConfigurationError(problems, where=where)
    return config


_SECTIONS: dict[str, type[BaseModel]] = {
    "": MigrationConfig,
    "migration_jobs": MigrationJob,
    "migration_settings": MigrationSettings,
    "validation_rules": ValidationRules,
    "mapping": MappingOptions,
    "rewrite": RewriteRules,
    "cutover": CutoverSettings,
    "request": WebhookRequest,
    "on_revert": WebhookRequest,
    **ACTIONS,
    "query_settings": QuerySettings,
    "queries": QueryPair,
    "notifications": NotificationSettings,
    "metrics": MetricSettings,
}


def _range_problems(raw: dict[Any, Any]) -> list[str]:
    """Ranges that end before they begin. Looked at even where other keys are wrong."""
    jobs = raw.get("migration_jobs")
    problems = []
    for index, job in enumerate(jobs if isinstance(jobs, list) else []):
        try:
            start, end = time_ns(job["start_time"]), exclusive_end_ns(job["end_time"])
        except (KeyError, ValueError, TypeError):
            continue
        if end <= start:
            what = f"{job_label(index, job)}: end_time"
            problems.append(not_allowed(what, job["end_time"], f"a time after start_time, {iso(start)}"))
    return problems


def _cross_problems(config: MigrationConfig) -> list[str]:
    """Mistakes between keys and between jobs."""
    problems = []
    for job in config.migration_jobs:
        if job.end_time > job.start_time:
            try:
                _ = job.grid.keys
            except ConfigurationError as error:
                problems += [f"job {job.job_name!r}: {line}" for line in error.problems]
        if job.retention_days and job.retention_days * 86_400 < job.shard_group_duration:
            problems.append(
                not_allowed(
                    f"job {job.job_name!r}: shard_group_duration",
                    f"{job.shard_group_duration // 3600}h",
                    f"at most retention_days, {job.retention_days}d",
                )
            )
    problems += job_problems(config.cutover, [job.placeholders for job in config.migration_jobs])
    names = tuple((job.job_name, job.slug) for job in config.migration_jobs)
    problems += pair_problems(config.queries, names)
    return [*problems, *_name_problems(config), *_overlap_problems(config), *_bucket_problems(config)]


def _name_problems(config: MigrationConfig) -> list[str]:
    """Jobs of one name, and tables whose names become one after being made fit for Dagster."""
    problems = []
    by_slug: dict[str, list[MigrationJob]] = defaultdict(list)
    by_key: dict[tuple[str, ...], list[MigrationJob]] = defaultdict(list)
    for job in config.migration_jobs:
        by_slug[job.slug].append(job)
        by_key[config.key_prefix(job)].append(job)
    for jobs in by_slug.values():
        if len(jobs) > 1:
            names = ", ".join(repr(job.job_name) for job in jobs)
            problems.append(
                f"job {jobs[0].job_name!r}: job_name: not allowed; "
                f"allowed: names that differ in letters or digits; found {names}"
            )
    for key, jobs in by_key.items():
        if len({job.source for job in jobs}) > 1:
            names = " and ".join(sorted({job.source for job in jobs}))
            problems.append(
                f"job {jobs[0].job_name!r}: source_table: {names} become one asset key {'/'.join(key)}; "
                f"allowed: one of them; migrate the other by a configuration of its own"
            )
    return problems


def _overlap_problems(config: MigrationConfig) -> list[str]:
    """Two jobs that write one measurement of one bucket over one time: neither could be proven."""
    problems = []
    for index, job in enumerate(config.migration_jobs):
        for other in config.migration_jobs[index + 1 :]:
            one_place = (job.target_bucket, job.measurement) == (other.target_bucket, other.measurement)
            if one_place and job.start_time < other.end_time and other.start_time < job.end_time:
                problems.append(
                    f"job {other.job_name!r}: target_bucket = {other.target_bucket!r}: measurement "
                    f"{job.measurement!r} is already written by job {job.job_name!r} in an overlapping range; "
                    f"allowed: another bucket, mapping.measurement or range"
                )
    return problems


def _bucket_problems(config: MigrationConfig) -> list[str]:
    """Jobs that share a bucket and disagree about it: the one that runs last would win."""
    problems = []
    options: tuple[tuple[str, Callable[[MigrationJob], int | None]], ...] = (
        ("retention_days", lambda job: job.retention_days),
        ("shard_group_duration", lambda job: job.shard_group_duration),
    )
    for index, job in enumerate(config.migration_jobs):
        for other in config.migration_jobs[index + 1 :]:
            for key, value in options:
                if job.target_bucket == other.target_bucket and value(job) != value(other):
                    problems.append(
                        f"job {other.job_name!r}: {key}: bucket {job.target_bucket!r} is also the target of job "
                        f"{job.job_name!r}, with another value; allowed: the same value, or another bucket"
                    )
            if job.target_bucket == other.target_bucket and "bulk" in (job.load, other.load):
                problems.append(
                    f"job {other.job_name!r}: target_bucket = {job.target_bucket!r}: is also the target of job "
                    f"{job.job_name!r}, and load: bulk makes a bucket with the shards of one job; "
                    f"allowed: a bucket of its own"
                )
    return problems
