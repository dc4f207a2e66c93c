"""`ts-migration validate` for one table and any range, with or without a configuration. The work is in `operations`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ts_migration.cli.console import bytes_text, error_line, note, say, stdout
from ts_migration.cli.log_file import VALIDATION_LOG, LogFile
from ts_migration.cli.work import Work, begin
from ts_migration.errors import ConfigurationError, ExitCode, Refused

if TYPE_CHECKING:
    from ts_migration.config import MappingOptions, MigrationJob
    from ts_migration.operations.range_validation import RangeRequest, RangeValidation


@dataclass(frozen=True)
class RangeFlags:
    """What the command line says of one table and a range; None where it says nothing."""

    database: str | None = None
    table: str | None = None
    bucket: str | None = None
    start: str | None = None
    end: str | None = None
    measurement: str | None = None
    mapping: str | None = None

    @property
    def given(self) -> bool:
        """Whether one table is meant."""
        return any(value is not None for value in vars(self).values())


def work_if_any(config: str | None, only: str | None) -> Work | None:
    """The configuration; None where there is none and none was asked for: the flags then have to say everything.

    Raises:
        MigrationError: it has mistakes, or is not there and was named.
    """
    import os

    from ts_migration.environment import activate, config_path

    if not config and not only:
        path = config_path(None, activate(Path.cwd()), Path.cwd())
        if not path.is_file():
            if os.environ.get("TS_MIGRATION_CONFIG"):
                note(f"there is no configuration {path}, which TS_MIGRATION_CONFIG names: checking without one")
            return None
    return begin(config, only=only)


def job_meant(work: Work, only: str | None, flags: RangeFlags) -> "MigrationJob | None":
    """The one job of the configuration that the flags fit, if there is one."""
    from ts_migration.config_values import exclusive_end_ns, time_ns

    jobs = [
        job
        for job in work.config.migration_jobs
        if flags.database in (None, job.source_database)
        and flags.table in (None, job.source_table)
        and flags.bucket in (None, job.target_bucket)
        and flags.measurement in (None, job.measurement)
        and only in (None, job.job_name, job.slug)
    ]
    if len(jobs) > 1 and flags.start is not None and flags.end is not None:
        start, end = _time(flags.start, time_ns), _time(flags.end, exclusive_end_ns)
        jobs = [job for job in jobs if start < job.end_time and job.start_time < end]
    return jobs[0] if len(jobs) == 1 else None


def is_whole_job(job: "MigrationJob", flags: RangeFlags) -> bool:
    """Whether the flags mean a job as the configuration has it: its windows are then checked, and nothing else."""
    from ts_migration.config_values import exclusive_end_ns, time_ns

    return (
        flags.mapping is None
        and (flags.start is None or _time(flags.start, time_ns) == job.start_time)
        and (flags.end is None or _time(flags.end, exclusive_end_ns) == job.end_time)
    )


def request_of(work: Work | None, job: "MigrationJob | None", flags: RangeFlags, parts: int) -> "RangeRequest":
    """What is to be checked: the flags, and a job where they leave something open.

    Raises:
        Refused: something is open all the same, or the range holds no time.
        ConfigurationError: --mapping cannot be read.
    """
    from ts_migration.config_values import exclusive_end_ns, time_ns
    from ts_migration.operations.range_validation import RangeRequest
    from ts_migration.windows import Window, iso

    start = _time(flags.start, time_ns) if flags.start is not None else (job.start_time if job else None)
    end = _time(flags.end, exclusive_end_ns) if flags.end is not None else (job.end_time if job else None)
    database = flags.database or (job.source_database if job else None)
    table = flags.table or (job.source_table if job else None)
    bucket = flags.bucket or (job.target_bucket if job else None)
    if database is None or table is None or bucket is None or start is None or end is None:
        named = {"--database": database, "--table": table, "--bucket": bucket, "--start-time": start, "--end-time": end}
        known = ", ".join(f"{one.source} -> {one.target_bucket}" for one in work.config.migration_jobs) if work else ""
        raise Refused(
            f"one table was named, but not {', '.join(name for name, value in named.items() if value is None)}",
            where=str(work.path) if work else "no configuration",
            allowed=f"all five, or some that fit one job of the configuration: {known}" if known else "all five",
            next_step="" if work else "name them, or pass --config",
        )
    if end <= start:
        raise Refused(f"the range from {iso(start)} until {iso(end)} holds no time", next_step="check --end-time")
    request = RangeRequest(
        database, table, bucket, Window(start, end), options=_options(flags, job), job=job, parts=parts
    )
    if work is None:
        return request
    return replace(request, rules=work.config.validation_rules, settings=work.config.migration_settings)


def check_range(request: "RangeRequest", region: str | None) -> int:
    """Check, print, write the reports; the exit code."""
    from ts_migration.aws import client
    from ts_migration.environment import activate
    from ts_migration.objects import ExportBucket
    from ts_migration.operations.range_validation import validate_range
    from ts_migration.operations.report import write_report
    from ts_migration.reporting.console import report as drawn

    environment = activate(Path.cwd())
    environment.require("s3_export_bucket", "influxdb_url", "influxdb_org")
    bucket = ExportBucket(client("s3", region), environment.s3_export_bucket)
    log = LogFile(Path.cwd() / VALIDATION_LOG)

    def tell(line: str) -> None:
        log.write(line)
        note(line)

    log.write(f"validate {request.name} against bucket {request.bucket}")
    found = validate_range(request, environment, bucket, region, tell)
    say(_cost(found))
    if found.empty:
        error_line(f"{request.name}: neither Timestream nor the bucket {request.bucket!r} holds anything there")
        return ExitCode.COULD_NOT_START
    stdout().print(drawn(found.results))
    written = write_report(found.results, bucket, Path.cwd())
    say(f"Report: {written.html_path} and {written.html_uri}")
    log.write(f"{request.name}: {found.results.status} after {found.seconds:.1f} s")
    if found.results.status == "proven":
        say(f"Every value is proven; checked in {found.seconds:.1f} s")
        return ExitCode.OK
    for window in found.results.tables[0].windows:
        if window.status != "proven":
            error_line(f"{request.database}.{request.table} from {window.start} until {window.end}: {window.reason}")
    if found.hint:
        error_line(found.hint)
    return ExitCode.FAILED


def _cost(found: "RangeValidation") -> str:
    meter = found.meter
    return (
        f"Timestream: {meter.queries:,} queries scanned {bytes_text(meter.scanned_bytes)}, billed as at least "
        f"{bytes_text(meter.billed_bytes)}; S3: {bytes_text(found.copied_bytes)} were exported to compare, and deleted"
    )


def _options(flags: RangeFlags, job: "MigrationJob | None") -> "MappingOptions | None":
    """What --mapping and --measurement say; None where they say nothing that the job does not say."""
    from pydantic import ValidationError

    from ts_migration.config import MappingOptions
    from ts_migration.config_yaml import read_yaml

    if flags.mapping is None and (flags.measurement is None or (job and job.measurement == flags.measurement)):
        return None
    raw = read_yaml(flags.mapping, "--mapping") if flags.mapping is not None else {}
    if flags.measurement is not None:
        raw["measurement"] = flags.measurement
    try:
        return MappingOptions.model_validate(raw)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False)]
        known = f"its keys are {', '.join(MappingOptions.model_fields)}"
        raise ConfigurationError([*lines, known], where="--mapping") from None


def _time(text: str, read: Callable[[object], int]) -> int:
    try:
        return read(text)
    except ValueError as error:
        raise Refused("--start-time or --end-time is no time", allowed=str(error)) from None
