"""A migration of three tables and 500 windows with failures, made up value by value: no server is needed.

For tests of the reports' size and behaviour, and for the pictures in `docs/`.
"""

import random
from datetime import UTC, datetime
from typing import Any

from ts_migration.config import Environment, parse_config
from ts_migration.manifests import VerdictRecord
from ts_migration.reporting.results import MigrationResults, results_of
from ts_migration.reporting.surroundings import common_settings, job_settings, told_variables
from ts_migration.stages.proof import TableProof, WindowProof, WindowStatus
from ts_migration.stages.work import StageWork
from ts_migration.validation.table import TableCheck
from ts_migration.validation.verdict import Check
from ts_migration.windows import Window, iso

CONFIG = """
migration_jobs:
  - {job_name: Generation Data Migration, source_database: ons_energy_data, source_table: generation_data, target_bucket: generation_data,
     start_time: 2024-01-01T00:00:00Z, end_time: 2024-12-30T23:59:59Z, window: day, batch_size: 10000}
  - {job_name: Load Data Migration, source_database: ons_energy_data, source_table: load_data, target_bucket: load_data,
     start_time: 2023-01-02T00:00:00Z, end_time: 2025-01-05T23:59:59Z, window: week, mapping: {rewrite: {float_not_finite: drop}}}
  - {job_name: Exchange Data Migration, source_database: ons_energy_data, source_table: exchange_data, target_bucket: exchange_data,
     start_time: 2022-07-01T00:00:00Z, end_time: 2024-12-31T23:59:59Z, window: month, compression: 6}
migration_settings: {parallel_jobs: 2}
"""
VERSIONS = {
    "python": "3.11.9", "ts-migration": "0.1.0", "dagster": "1.13.27", "polars": "2.1.0", "pyarrow": "24.0.0",
    "numpy": "2.4.1", "boto3": "1.42.3", "influxdb-client": "1.50.0", "influxdb server": "influxdb v2.7.12",
}  # fmt: skip
PLANTS = ("ITAIPU", "TUCURUI", "BELO MONTE", "JIRAU", "SANTO ANTONIO", "ILHA SOLTEIRA", "XINGO", "PAULO AFONSO IV")
FIELDS = ("active_power_mw", "reactive_power_mvar", "reservoir_level_m", "availability")


def example(*, failing: bool = True, all_failed: bool = False, generated_at: str | None = None) -> MigrationResults:
    """Results of 365 days, 105 weeks and 30 months.

    Args:
        failing: whether some windows failed, were not done or are stale.
        all_failed: whether every window failed every check with the most evidence that there can be.
        generated_at: the time of the results, for pictures that are made again.
    """
    config = parse_config(CONFIG)
    chance = random.Random(7)
    proofs = []
    for number, job in enumerate(config.migration_jobs):
        windows = tuple(
            _window(job.measurement, window, _status(number, place, failing, all_failed), chance, all_failed)
            for place, window in enumerate(job.grid)
        )
        proofs.append(TableProof(job.job_name, job.source, job.target_bucket, job.measurement, windows))
    rolled_up = () if failing else _table_checks()
    results = results_of(
        proofs,
        "validation",
        table_checks={proof.job: rolled_up or (_table_checks() if number == 2 else ()) for number, proof in enumerate(proofs)},
        job_settings={job.job_name: job_settings(job) for job in config.migration_jobs},
        settings=common_settings(config),
        environment=told_variables(
            Environment(s3_export_bucket="ons-migration-export", influxdb_url="https://influxdb.ons.example:8086", influxdb_org="ons-energy")
        ),
        versions=VERSIONS,
        job_id="job_20250112T081503_7f3a",
        configuration="migration_config.yaml",
    )  # fmt: skip
    return results.model_copy(update={"generated_at": generated_at}) if generated_at else results


def _status(table: int, place: int, failing: bool, all_failed: bool) -> WindowStatus:
    if all_failed:
        return WindowStatus.FAILED
    if not failing:
        return WindowStatus.PROVEN
    special = {
        0: {45: "failed", 46: "failed", 131: "failed", 214: "passed", 288: "stale", 289: "stale"},
        1: {12: "failed", 40: "passed", 66: "passed", 91: "failed"},
    }.get(table, {})
    if table == 0 and place >= 341:
        return WindowStatus.MISSING
    return WindowStatus(special.get(place, "proven"))


def _window(
    measurement: str, window: Window, status: WindowStatus, chance: random.Random, everything: bool
) -> WindowProof:
    if status is WindowStatus.MISSING:
        return WindowProof(window, status, "nothing was done yet")
    rows = chance.randint(180_000, 230_000)
    values = {field: rows - chance.randint(0, 900) for field in FIELDS}
    total = sum(values.values())
    seconds = {
        "export": 4 + chance.random() * 3, "line_protocol": rows / 420_000, "load": rows / 310_000 + chance.random() / 4,
        "verdicts": total / 2_400_000 + 0.4,
    }  # fmt: skip
    points = rows - (3 if status is WindowStatus.PASSED else 0)
    return WindowProof(
        window=window,
        status=status,
        reason=_reason(window, status, everything),
        rows=rows,
        points=points,
        values=values,
        bytes=rows * 11,
        series=len(PLANTS) * 4,
        quarantined=rows - points,
        reasons={"tag value ends in a backslash": 2, "tag value holds a line feed": 1} if rows != points else {},
        seconds={stage: round(each, 3) for stage, each in seconds.items()},
        works=(
            StageWork("export", round(seconds["export"], 3), rows, "rows", rows * 19),
            StageWork("line_protocol", round(seconds["line_protocol"], 3), rows, "rows", rows * 96),
            StageWork("load", round(seconds["load"], 3), points, "points", rows * 11),
            StageWork("verdicts", round(seconds["verdicts"], 3), total, "values"),
        ),
        verdicts=_verdicts(measurement, window, status, rows, total, chance, everything),
        digest=f"{chance.getrandbits(256):064x}",
    )


def _stage(window: Window) -> str:
    """The stage that is blamed for a window: one of them now and then."""
    return {"2024-05-11": "conversion", "2023-03-27": "export"}.get(window.key, "load")


def _reason(window: Window, status: WindowStatus, everything: bool) -> str:
    return {
        WindowStatus.PROVEN: "export equals bucket, value by value",
        WindowStatus.PASSED: "passed, not proven: 3 rows quarantined",
        WindowStatus.STALE: "the export was made again after the checks",
        WindowStatus.FAILED: ", ".join(Check if everything else ("checksum", "sample"))
        + f" failed: broken by the {_stage(window)}",
    }[status]


def _verdicts(
    measurement: str,
    window: Window,
    status: WindowStatus,
    rows: int,
    total: int,
    chance: random.Random,
    everything: bool,
) -> tuple[VerdictRecord, ...]:
    digest = f"{chance.getrandbits(128):032x} over {total:,} values"
    texts = {
        Check.RECORD_COUNT: (f"{rows:,} rows, {total:,} values in Timestream now", f"{rows:,} rows exported, {total:,} values encoded, {total:,} in InfluxDB"),
        Check.CHECKSUM: (digest, digest),
        Check.SAMPLE: ("100 rows asked again of Timestream", "100 of them in the bucket, bit for bit (100.00%)"),
        Check.SCHEMA: ("4 fields, 3 tags", "4 fields, 3 tags"),
        Check.COVERAGE: (f"{iso(window.start_ns)} to {iso(window.end_ns - 1)}, 32 series", f"{iso(window.start_ns)} to {iso(window.end_ns - 1)}, 32 series"),
    }  # fmt: skip
    made: dict[Check, dict[str, Any]] = {}
    if status is WindowStatus.FAILED:
        stage = "load" if everything else _stage(window)
        count = 19 if everything else chance.randint(3, 9)
        kinds = [chance.choice(("changed", "changed", "missing")) for _ in range(count)]
        lost = kinds.count("missing")
        other = f"{chance.getrandbits(128):032x} over {total - lost:,} values"
        lines = tuple(_difference(measurement, window, chance, kind) for kind in kinds)
        made[Check.CHECKSUM] = {
            "actual": other,
            "difference": f"{lost} missing, 0 extra, {count - lost} changed values",
            "evidence": (*lines, _bin(window, total, lost)),
            "stage": stage,
        }
        made[Check.SAMPLE] = {
            "actual": "99 of them in the bucket, bit for bit (99.00%)", "difference": "1 rows", "tolerance": "accuracy at least 100.00%", "stage": stage,
            "evidence": (f"{_point(measurement, chance)} at {iso(window.start_ns + 7_200_000_000_000)}: Timestream has 511.25 (float), bucket has 511.5 (float)",),
        }  # fmt: skip
        if everything:
            made |= {check: {"evidence": lines, "stage": "load", "difference": "much"} for check in Check}
    return tuple(
        VerdictRecord(
            check=check.value,
            **{  # type: ignore[arg-type]
                "passed": check not in made, "severity": "ERROR", "expected": expected, "actual": actual, "difference": "0", "tolerance": "0",
                "stage": None, "evidence": (), **made.get(check, {}),
            },
        )
        for check, (expected, actual) in texts.items()
    )  # fmt: skip


def _point(measurement: str, chance: random.Random) -> str:
    plant = chance.choice(PLANTS).replace(" ", "\\ ")
    return f"{measurement},measure_name=metrics,plant={plant},subsystem={chance.choice(('N', 'NE', 'S', 'SE'))} {chance.choice(FIELDS)}"


def _difference(measurement: str, window: Window, chance: random.Random, kind: str) -> str:
    value = round(chance.uniform(20, 700), 3)
    moment = iso(window.start_ns + chance.randint(1, 86_000) * 1_000_000_000)
    told = f"{kind}: {_point(measurement, chance)} at {moment}: expected {value!r} (float)"
    return told if kind == "missing" else f"{told}, bucket has {round(value + 0.25, 3)!r} (float)"


def _bin(window: Window, total: int, lost: int) -> str:
    end = window.start_ns + (window.end_ns - window.start_ns) // 64
    count = total // 64
    return (
        f"{iso(window.start_ns)} to {iso(end)}: expected {count:,} values, bucket has {count - lost:,}, digests differ"
    )


def _table_checks() -> tuple[VerdictRecord, ...]:
    told = {
        TableCheck.ALL_WINDOWS_PROVEN: "30 windows: 30 proven",
        TableCheck.TOTALS: "24,209,971 values in 4 fields",
        TableCheck.CARDINALITY: "32 series",
    }
    return tuple(
        VerdictRecord(
            check=check.value, passed=True, severity="ERROR", expected=text, actual=text, difference="0", tolerance="0", stage=None, evidence=()
        )
        for check, text in told.items()
    )  # fmt: skip


def moment() -> str:
    """A fixed time of results."""
    return datetime(2025, 1, 12, 8, 15, 3, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
