"""A fault of each stage is laid to that stage, and `repair` mends each window by the least that it needs.

A table is migrated in half months. Five of them are spoiled, each at another stage; the sixth stays as it is. All are
checked, then those that failed are repaired by a worker, as `execute`'s workers are, with recording servers in front of
all three systems.
"""

import gzip
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import dagster as dg
import polars as pl
import pytest

from ts_migration.errors import Refused
from ts_migration.local.timestream.seed import seed
from ts_migration.manifests import LineProtocolManifest, LoadManifest
from ts_migration.orchestration.names import TableNames
from ts_migration.orchestration.tasks import Outcome, Task, TaskKind
from ts_migration.orchestration.worker import Worker
from ts_migration.reporting.results import WindowResult, results_of
from ts_migration.stages.damage import set_aside
from ts_migration.stages.proof import proof_of
from ts_migration.windows import Window
from ts_migration_tests.embedded_stack import DATABASE, EmbeddedStack
from ts_migration_tests.end_to_end.proven_table import (
    CONFIG,
    DAY,
    HOUR,
    SPEC,
    TABLE,
    ProvenTable,
    at,
    plant_rows,
    stack_with_plants,
)
from ts_migration_tests.end_to_end.target import plain_client
from ts_migration_tests.recording import Asked, Recorded, recording

pytestmark = pytest.mark.stack

UNTOUCHED, LOADED, CONVERTED, EXPORTED, LATE, EXTRA = "2023-01-01", "2023-01-15", "2023-02-01", "2023-02-15", "2023-03-01", "2023-03-15"  # fmt: skip
FAULTS = {LOADED: "load", CONVERTED: "conversion", EXPORTED: "export", LATE: "source", EXTRA: "load"}
DEEDS = {
    LOADED: "1 point that was too many deleted (kept in s3://…); loaded again; checked again",
    CONVERTED: "converted and loaded again; checked again",
    EXPORTED: "exported, converted and loaded again; checked again",
    LATE: "exported, converted and loaded again; checked again",
    EXTRA: "1 point that was too many deleted (kept in s3://…); loaded again; checked again",
}
ITAIPU = ",measure_name=metrics,plant=Itaipu,subsystem=S"


class Halves(ProvenTable):
    """The table of half months; `chosen` is the one that is spoiled next."""

    chosen = LOADED

    @property
    def spoiled(self) -> Window:
        return self.job.grid.window(self.chosen)


@dataclass
class Repaired:
    """What was found before the repair, and what the repair did."""

    table: Halves
    stack: EmbeddedStack
    stages: dict[str, set[str]] = field(default_factory=dict)
    """Window -> stages that the metadata of its failed checks in Dagster blame."""
    results: dict[str, WindowResult] = field(default_factory=dict)
    """As the results JSON has them, before the repair."""
    needs: str = ""
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    asked: dict[str, dict[str, list[Asked]]] = field(default_factory=dict)
    """Repaired window -> server -> requests meanwhile."""
    after: dict[str, WindowResult] = field(default_factory=dict)
    runs: list[dg.DagsterRun] = field(default_factory=list)


def spoil(table: Halves, stack: EmbeddedStack) -> None:
    """A fault of its own for every window but one."""
    table.chosen = LOADED
    day = at(LOADED) + 1
    table.write(f"{ITAIPU} load_mw=1 {day}", f"{ITAIPU},operator=me load_mw=1 {day}")
    table.delete(day + DAY, day + 2 * DAY, plant="Tucurui")

    table.chosen = CONVERTED
    table.rewrite_member(0, lambda text: re.sub(r"load_mw=\d", "load_mw=9", text, count=1), adjust_index=True)
    table.load_anew()

    table.chosen = EXPORTED
    table.rewrite_export(lambda rows: rows.slice(1))
    table.convert(table.spoiled)
    table.load_anew()

    late = plant_rows().filter(pl.col("time") == at(LATE) + 1).with_columns(pl.col("time") + 5 * HOUR)
    seed(stack.timestream_url, SPEC, late)

    table.write(f'{ITAIPU} load_mw=1,note="mine, \\"too\\"" {at(EXTRA) + 77}')


@pytest.fixture(scope="module")
def repaired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repaired]:
    folder = tmp_path_factory.mktemp("repair")
    config = CONFIG.replace("    batch_size", "    window: '0 0 1,15 * *'\n    batch_size")
    with stack_with_plants(folder, config, TABLE) as (stack, plain), dg.DagsterInstance.ephemeral() as instance:
        table = Halves(plain.config, plain.query, plain.bucket, plain.target)
        for window in table.windows:
            table.export(window)
            table.convert(window)
            table.load(window)
        spoil(table, stack)
        found = Repaired(table, stack)
        keys = [window.key for window in table.windows]
        perform(instance, table, TaskKind.CHECK, keys)
        found.stages = blamed(instance, table)
        found.results = results(table)
        stack.write_config(config)
        found.needs = stack.run("repair", "--dry-run", "--table", f"{DATABASE}.{TABLE}").stdout
        for key in FAULTS:
            with recorded() as servers:
                found.outcomes |= perform(instance, table, TaskKind.REPAIR, [key])
                found.asked[key] = {name: list(server.requests) for name, server in servers.items()}
        found.after = results(table)
        found.runs = instance.get_runs()
        yield found


SERVERS = {"s3": "AWS_ENDPOINT_URL_S3", "timestream": "AWS_ENDPOINT_URL_TIMESTREAM_QUERY", "influxdb": "INFLUXDB_URL"}


@contextmanager
def recorded() -> Iterator[dict[str, Recorded]]:
    """Recording servers in front of all three systems; the variables of this process lead there."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        servers = {}
        for name, variable in SERVERS.items():
            servers[name] = stack.enter_context(recording(os.environ[variable]))
            patch.setenv(variable, servers[name].url)
        yield servers


def perform(instance: dg.DagsterInstance, table: Halves, kind: TaskKind, keys: list[str]) -> dict[str, Outcome]:
    worker = Worker(table.config, instance, "job", "worker")
    return {key: worker.perform(Task(kind, table.job.slug, (key,))) for key in keys}


def blamed(instance: dg.DagsterInstance, table: Halves) -> dict[str, set[str]]:
    """What "broken by" says in the metadata of failed checks, by window."""
    stages: dict[str, set[str]] = {}
    for check in TableNames.of(table.config, table.job).window_checks:
        for record in instance.event_log_storage.get_asset_check_execution_history(check, limit=50):
            evaluation = record.event.dagster_event.asset_check_evaluation_data
            if not evaluation.passed:
                stages.setdefault(evaluation.partition, set()).add(evaluation.metadata["broken by"].value)
    return stages


def results(table: Halves) -> dict[str, WindowResult]:
    proof = proof_of(table.config, table.job, table.bucket)
    body = json.loads(results_of([proof], "validation").to_bytes())
    return {window["key"]: WindowResult.model_validate(window) for window in body["tables"][0]["windows"]}


def evidence(repaired: Repaired, key: str) -> list[str]:
    return [line for check in repaired.results[key].checks if not check.passed for line in check.evidence]


@pytest.mark.parametrize(("key", "stage"), FAULTS.items())
def test_a_fault_is_laid_to_the_stage_where_it_was_put(repaired: Repaired, key: str, stage: str) -> None:
    assert repaired.stages[key] == {stage}
    failed = [check for check in repaired.results[key].checks if not check.passed]
    assert {check.stage for check in failed} == {stage}
    assert repaired.results[key].status == "failed"
    words = {"source": "the source changed after the export (a late arrival)"}.get(stage, f"broken by the {stage}")
    assert [line for line in evidence(repaired, key) if words in line]
    assert repaired.results[key].reason.endswith(words.partition(" (")[0])


def test_the_evidence_shows_the_value_at_every_stage(repaired: Repaired) -> None:
    (changed,) = [line for line in evidence(repaired, CONVERTED) if line.startswith("changed: ")]
    seen = re.search(r"Timestream has (\S+) .*export has (\S+) .*line protocol has (\S+) .*bucket has (\S+) ", changed)
    source, export, line_protocol, bucket = seen.groups()
    assert source == export != line_protocol == bucket

    lost = next(line for line in evidence(repaired, EXPORTED) if line.startswith("missing: "))
    assert re.search(
        r"Timestream has .*, export has nothing, line protocol has nothing, bucket has nothing; broken by the export",
        lost,
    )


def test_the_window_without_a_fault_is_proven_throughout(repaired: Repaired) -> None:
    assert repaired.results[UNTOUCHED].status == "proven"
    assert UNTOUCHED not in repaired.needs


@pytest.mark.parametrize("key", FAULTS)
def test_repair_does_the_least_that_a_window_needs_and_it_is_proven_afterwards(repaired: Repaired, key: str) -> None:
    outcome = repaired.outcomes[key]
    assert re.sub(r"s3://\S+\)", "s3://…)", outcome.done) == DEEDS[key]
    assert (outcome.ok, outcome.status, outcome.error) == (True, "proven", "")
    assert repaired.after[key].status == "proven"


def test_the_dry_run_tells_what_every_failed_window_needs(repaired: Repaired) -> None:
    needs = dict(re.findall(r"window (\S+): failed: .*\n +by its last checks it needs: (.*); then", repaired.needs))
    assert needs == {
        LOADED: "delete from the bucket what is too much, if anything is, and send its members again",
        CONVERTED: "convert and load it again",
        EXPORTED: "export, convert and load it again",
        LATE: "export, convert and load it again",
        EXTRA: "delete from the bucket what is too much, if anything is, and send its members again",
    }


def test_what_was_deleted_is_kept_to_the_point(repaired: Repaired) -> None:
    table = repaired.table
    kept = []
    for found in table.bucket.list(table.place.proof):
        if "/removed/" in found.key:
            kept += [json.loads(line) for line in gzip.decompress(table.bucket.get(found.key)).splitlines()]
    assert [(point["tags"].get("operator"), point["time_ns"]) for point in kept] == [
        ("me", at(LOADED) + 1),
        (None, at(EXTRA) + 77),
    ]
    assert kept[1]["fields"] == [
        {"field": "load_mw", "type": "float", "value": 1.0},
        {"field": "note", "type": "string", "value": 'mine, "too"'},
    ]


def test_every_repair_is_a_run_that_dagster_keeps(repaired: Repaired) -> None:
    runs = Counter(run.tags["dagster/partition"] for run in repaired.runs if "ts_migration/repair" in run.tags)
    assert runs == dict.fromkeys(FAULTS, 1)


@pytest.mark.parametrize("key", FAULTS)
def test_no_system_is_asked_for_anything_of_another_window(repaired: Repaired, key: str) -> None:
    asked = repaired.asked[key]
    windows = {window.key: window for window in repaired.table.windows}
    own = windows[key]
    of_windows = Counter(name for one in asked["s3"] for name in windows if f"/{name}/" in one.path)
    assert set(of_windows) == {key} and of_windows[key] > 5

    pages = [json.loads(one.body) for one in asked["timestream"] if b"from_nanoseconds" in one.body]
    queries = [page["QueryString"] for page in pages if "NextToken" not in page]
    times = [int(text) for query in queries for text in re.findall(r"from_nanoseconds\((\d+)\)", query)]
    assert times and own.start_ns <= min(times) and max(times) <= own.end_ns
    assert sum("UNLOAD" in query for query in queries) == (key in (EXPORTED, LATE))

    ranges = [
        re.search(r"time >= (\d+) AND time < (\d+)", one.path) for one in asked["influxdb"] if "SELECT" in one.path
    ]
    assert ranges and all(own.start_ns <= int(one[1]) and int(one[2]) <= own.end_ns for one in ranges)
    deletes = [json.loads(one.body) for one in asked["influxdb"] if one.path.startswith("/api/v2/delete")]
    assert len(deletes) == (key in (LOADED, EXTRA))
    writes = [one for one in asked["influxdb"] if one.path.startswith("/api/v2/write") and one.body]
    stamps = [int(line.rsplit(b" ", 1)[1]) for one in writes for line in gzip.decompress(one.body).splitlines()]
    assert stamps and own.start_ns <= min(stamps) and max(stamps) < own.end_ns


def test_a_table_that_no_job_has_is_said(repaired: Repaired) -> None:
    answer = repaired.stack.run("repair", "--table", "energy.nothing")
    assert answer.returncode == 2
    assert (
        f"no jobs of the configuration fit --table 'energy.nothing'. Allowed: {DATABASE}.{TABLE} (plants)"
        in answer.stderr
    )


def test_the_command_that_validate_names_mends_the_window_and_tells_what_it_did(repaired: Repaired) -> None:
    repaired.table.write(f"{ITAIPU} load_mw=1 {at(EXTRA) + 99}")
    judged = repaired.stack.run("validate")
    assert judged.returncode == 1
    assert "next: ts-migration repair --table plants mends failed windows" in judged.stderr

    mended = repaired.stack.run("repair", "--window", f"{LATE}..{EXTRA}")

    assert mended.returncode == 0, mended.stderr
    assert (
        f"plants: window {EXTRA} was failed: record_count, checksum, coverage failed: broken by the load"
        in mended.stdout
    )
    assert re.search(
        r"done: 1 point that was too many deleted \(kept in s3://\S+\); loaded again; checked again", mended.stdout
    )
    assert "now: proven" in mended.stdout
    assert "plants: 1 of 1 windows mended" in mended.stdout
    assert repaired.stack.run("repair").stdout == "plants: nothing to repair (6 proven)\n"


def test_a_manifest_that_cannot_be_read_is_set_aside_and_made_again(repaired: Repaired) -> None:
    place, bucket = repaired.table.config.place(repaired.table.job), repaired.table.bucket
    export, load = place.window(UNTOUCHED).manifest("export"), place.window(LATE).manifest("load")
    broken = {key: bucket.get(key)[:-30] for key in (export, load)}
    for key, body in broken.items():
        bucket.put(key, body)
    refused = repaired.stack.run("execute")
    assert refused.returncode == 2
    assert "or have `ts-migration repair` set a window's manifest aside" in refused.stderr

    told = repaired.stack.run("repair", "--dry-run")
    mended = repaired.stack.run("repair")

    assert f"plants: window {UNTOUCHED}: damaged: export.json cannot be read" in told.stdout
    assert f"plants: window {LATE}: damaged: load.json cannot be read" in told.stdout
    assert mended.returncode == 0, mended.stdout + mended.stderr
    aside = "could not be read and was set aside"
    assert f"done: export.json {aside}; exported, converted and loaded again; checked again" in mended.stdout
    assert f"done: load.json {aside}; loaded again; checked again" in mended.stdout
    kept = {
        bucket.get(found.key)
        for key in (UNTOUCHED, LATE)
        for found in bucket.list(place.window(key).proof + "damaged/")
    }
    assert kept == set(broken.values())
    assert repaired.stack.run("repair").stdout == "plants: nothing to repair (6 proven)\n"


def test_an_export_that_cannot_be_read_stays_where_the_source_has_lost_rows(repaired: Repaired) -> None:
    table = repaired.table
    place, window = table.config.place(table.job).window(LATE), table.job.grid.window(LATE)
    export, converted = (table.bucket.get(place.manifest(stage)) for stage in ("export", "line_protocol"))
    told = LineProtocolManifest.model_validate_json(converted)
    told.model_copy(update={"rows": told.rows + 1}).write(table.bucket, place.manifest("line_protocol"))
    table.bucket.put(place.manifest("export"), b"{")

    with pytest.raises(Refused, match="would lose the others"):
        set_aside(table.job, window, place, table.bucket, table.query)

    assert table.bucket.get(place.manifest("export")) == b"{"
    table.bucket.put(place.manifest("export"), export)
    table.bucket.put(place.manifest("line_protocol"), converted)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (("export", "line_protocol"), "would lose the others"),
        (("export", "line_protocol", "load"), "nor can line_protocol.json, load.json: nothing tells how many rows"),
    ],
)
def test_an_export_that_cannot_be_read_stays_where_the_conversion_cannot_be_read_either_and_rows_may_be_lost(
    repaired: Repaired, broken: tuple[str, ...], told: str
) -> None:
    """Made again from fewer rows, the window would have points that are too many, and repair deletes those."""
    table = repaired.table
    place, window = table.config.place(table.job).window(LATE), table.job.grid.window(LATE)
    kept = {stage: table.bucket.get(place.manifest(stage)) for stage in ("export", "line_protocol", "load")}
    loaded = LoadManifest.model_validate_json(kept["load"])
    loaded.model_copy(update={"points": loaded.points + 1}).write(table.bucket, place.manifest("load"))
    for stage in broken:
        table.bucket.put(place.manifest(stage), b"{")

    with pytest.raises(Refused, match=told):
        set_aside(table.job, window, place, table.bucket, table.query)

    assert all(table.bucket.get(place.manifest(stage)) == b"{" for stage in broken)
    for stage, body in kept.items():
        table.bucket.put(place.manifest(stage), body)


@pytest.mark.parametrize("made_anew", [False, True], ids=["dropped", "made_anew"])
def test_windows_of_a_bucket_that_is_gone_are_loaded_again_and_nothing_in_another_one_is_deleted(
    repaired: Repaired, made_anew: bool
) -> None:
    table, stranger = repaired.table, f"{ITAIPU} load_mw=1 {at(EXTRA) + 98}"
    with plain_client(repaired.stack) as client:
        found = client.buckets_api().find_bucket_by_name(table.job.target_bucket)
        client.buckets_api().delete_bucket(found)
        if made_anew:
            client.buckets_api().create_bucket(bucket_name=found.name, org_id=found.org_id)
            table.write(stranger)

    mended = repaired.stack.run("repair")

    assert "the bucket that it was loaded into is not there any more" in mended.stdout
    assert "too many deleted" not in mended.stdout
    assert f"plants: {5 if made_anew else 6} of 6 windows mended" in mended.stdout, mended.stdout + mended.stderr
