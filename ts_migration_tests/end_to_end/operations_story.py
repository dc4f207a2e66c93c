"""One migration as an operator lives through it: the guide's lines and the runbook's, typed one after the other.

Three small tables, two windows each. An export sticks and is cancelled, InfluxDB goes away, a value is spoiled, S3 and the
command's own process are lost; a job is rolled back and executed again; all is proven, cleaned up and archived.
"""

import re
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import urllib3

from ts_migration.local.faults.rules import FaultKind, FaultRule, FaultyService
from ts_migration.local.faults.setting import clear_faults, list_faults, set_fault
from ts_migration.local.processes import stop
from ts_migration.local.stack import require_state
from ts_migration.local.state import Service
from ts_migration.local.timestream.seed import seed
from ts_migration.orchestration.names import UNLOAD_POOL, WRITE_POOL
from ts_migration_tests.embedded_stack import CHECKOUT, EmbeddedStack, configuration, signal_all
from ts_migration_tests.end_to_end.history import history
from ts_migration_tests.end_to_end.proven_table import SPEC, plant_rows
from ts_migration_tests.end_to_end.terminal import Going, Said, Terminal

EXECUTE = "python scripts/execute_migration.py --config my_migration_config.yaml"
MONITOR = "python scripts/monitor_migration.py"
VALIDATE = "python scripts/validate_migration.py --config my_migration_config.yaml"
JOBS = ("generation-data-migration", "load-data-migration", "exchange-data-migration")
GENERATION = JOBS[0]
ONE_TABLE = (
    "python scripts/validate_migration.py --database ons_energy_data --table generation_data --bucket generation_data "
    '--start-time "2023-01-01T00:00:00Z" --end-time "2024-12-31T23:59:59Z"'
)
ONE_DAY = (
    "python scripts/validate_migration.py --database db --table table --bucket bucket "
    '--start-time "2023-01-01T00:00:00Z" --end-time "2023-01-02T00:00:00Z"'
)
DAY_OF = {"db": "ons_energy_data", "table": "generation_data", "bucket": "generation_data"}
APPENDIX_A = """\
export AWS_DEFAULT_REGION=us-east-1
cd infra
MIGRATION_ORCHESTRATOR_ARN=$(terraform output -raw migration_orchestrator_lambda_arn)
MIGRATION_STATE_MACHINE_ARN=$(terraform output -raw migration_state_machine_arn)
S3_EXPORT_BUCKET=$(terraform output -raw migration_export_bucket)
NOTIFICATION_TOPIC_ARN=$(terraform output -raw migration_notification_topic_arn)
export MIGRATION_ORCHESTRATOR_LAMBDA_ARN="$MIGRATION_ORCHESTRATOR_ARN"
export MIGRATION_STATE_MACHINE_ARN="$MIGRATION_STATE_MACHINE_ARN"
export S3_EXPORT_BUCKET="$S3_EXPORT_BUCKET"
export NOTIFICATION_TOPIC_ARN="$NOTIFICATION_TOPIC_ARN"
export INFLUXDB_URL="https://your-influxdb-endpoint:8086"
export INFLUXDB_TOKEN="your-influxdb-token"
export INFLUXDB_ORG="ons-energy"
echo "Migration environment configured successfully"
"""
"""The guide's own script of appendix A."""
QUICK_START = "source setup_migration_environment.sh"
UNLOADS = "Query UNLOAD*"
PLANTS_WRITES = "POST /api/v2/write?*bucket=plants*"
GENERATION_WRITES = "POST /api/v2/write?*bucket=generation_data*"
WAIT_S = 60
TOLD_WITHIN_S = 30
INFLUXDB_AWAY_S = 6

Found = TypeVar("Found")


@dataclass(frozen=True)
class Ids:
    """Ids of the three jobs of one `execute`, in the guide's words."""

    of: tuple[str, ...]

    @property
    def filled(self) -> dict[str, str]:
        """The guide's examples -> these jobs; the first is the one that sticks."""
        first, second, third = self.of
        return {
            "job1": first, "job2": second, "job3": third, "stuck-job-id": first, "specific-job-id": first,
            "job-id-1": second, "job-id-2": third,
        }  # fmt: skip


class Scenes(dict[str, Said]):
    """What was typed, by the scene it belongs to."""

    def __setitem__(self, scene: str, said: Said) -> None:
        assert scene not in self, scene
        super().__setitem__(scene, said)


def play(stack: EmbeddedStack, terminal: Terminal) -> Scenes:
    """All of it."""
    scenes = Scenes()
    _prepare(stack, terminal)
    for act in (_begin, _stick, _lose_influxdb, _spoil, _lose_s3, _kill, _finish, _clean_up, _fill_the_disk):
        act(stack, terminal, scenes)
    return scenes


def _prepare(stack: EmbeddedStack, terminal: Terminal) -> None:
    """The files of a checkout beside the stack; windows of a year, so that there are few."""
    for name in ("scripts", "infra"):
        (stack.folder / name).mkdir()
    for path in [*sorted((CHECKOUT / "scripts").glob("*.*")), CHECKOUT / "setup_migration_environment.sh"]:
        copy = stack.folder / path.relative_to(CHECKOUT)
        copy.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    config = stack.folder / "scripts" / "migration_config.yaml"
    text = config.read_text(encoding="utf-8")
    text = text.replace("batch_size: 10000", 'batch_size: 50\n    window: "0 0 1 1 *"\n    write_connections: 1')
    text = text.replace("parallel_jobs: 2", "parallel_jobs: 1").replace(
        "max_retry_attempts: 3", "max_retry_attempts: 5\n  retry_delay_seconds: 2"
    )
    config.write_text(text + "\nquery_settings:\n  runs: 1\n")
    seed(stack.timestream_url, SPEC, plant_rows().head(100))
    plants = configuration("plants", end="2023-01-31T23:59:59Z")
    stack.write_config(plants + "    batch_size: 5\nquery_settings:\n  runs: 1\n", "plants.yaml")
    assert terminal.type("cp scripts/migration_config.yaml my_migration_config.yaml").code == 0


def _begin(_stack: EmbeddedStack, terminal: Terminal, scenes: Scenes) -> None:
    scenes["plan"] = terminal.type("ts-migration plan --config my_migration_config.yaml")
    scenes["dry run"] = terminal.type(f"{EXECUTE} --dry-run")
    scenes["dry run in a region"] = terminal.type(f"{EXECUTE} --dry-run --region us-east-1")


def _stick(stack: EmbeddedStack, terminal: Terminal, scenes: Scenes) -> None:
    """UNLOAD does not answer: somebody looks, cancels one job, then the two others."""
    _slow(stack, FaultyService.TIMESTREAM, UNLOADS, delay_s=90)
    with terminal.typing(EXECUTE) as executing:
        ids = _await_ids(executing)
        _await_hit(stack, executing, UNLOADS)
        with (
            terminal.typing(f"{MONITOR} --auto-discover") as watching,
            terminal.typing(f"{MONITOR} --job-id job1 --update-interval 15 --max-duration 7200", ids.filled) as one,
        ):
            scenes["stuck"] = terminal.type("python scripts/execute_migration.py --job-id stuck-job-id", ids.filled)
            scenes["second execute"] = terminal.type("ts-migration execute")
            _await(lambda: ids.of[2] in watching.so_far and ids.of[0] in one.so_far, "both monitors to show the jobs")
            for scene, name in (
                ("cancel", "stuck-job-id"),
                ("cancel second", "job-id-1"),
                ("cancel third", "job-id-2"),
            ):
                line = f"python scripts/execute_migration.py --cancel-job {name}"
                scenes[scene] = terminal.type(line, ids.filled)
            scenes["stuck execute"] = executing.end()
            scenes["monitor all of it"] = watching.end()
            scenes["monitor the stuck one"] = one.end()
    clear_faults(stack.folder)
    scenes["status of cancelled jobs"] = terminal.type("ts-migration status")


def _lose_influxdb(stack: EmbeddedStack, terminal: Terminal, scenes: Scenes) -> None:
    """Gone on with; InfluxDB goes away in the midst of a load and is back some seconds later."""
    _slow(stack, FaultyService.INFLUXDB, GENERATION_WRITES, delay_s=4)
    with terminal.typing("ts-migration execute --resume") as executing:
        ids = _await_ids(executing)
        with (
            terminal.typing(f"{MONITOR} --job-ids job1 job2 job3", ids.filled) as watching,
            terminal.typing(f"{MONITOR} --job-id specific-job-id --update-interval 30", ids.filled) as one,
        ):
            scenes["monitor with the target"] = terminal.type(
                "ts-migration monitor --auto-discover --target --max-duration 1"
            )
            # Set anew it counts anew: the write that it hits is on its way when InfluxDB goes.
            _slow(stack, FaultyService.INFLUXDB, GENERATION_WRITES, delay_s=4)
            _await_hit(stack, executing, GENERATION_WRITES)
            _stop(stack, Service.INFLUXDB)
            time.sleep(INFLUXDB_AWAY_S)
            scenes["influxdb is back"] = terminal.type("ts-migration local up")
            clear_faults(stack.folder)
            scenes["resumed"] = executing.end()
            scenes["monitor to the end"] = watching.end()
            scenes["monitor one to the end"] = one.end()


def _spoil(stack: EmbeddedStack, terminal: Terminal, scenes: Scenes) -> None:
    """Somebody writes over a value: validation fails and says where, and it is repaired; somebody has it rolled back."""
    overwrite_one_value(stack, "generation_data", "generation_mw", "2023-01-01", "2023-01-02")
    scenes["validation fails"] = terminal.type(VALIDATE)
    scenes["validation of the table fails"] = terminal.type(ONE_TABLE)
    scenes["validation of the day fails"] = terminal.type(ONE_DAY, DAY_OF)
    scenes["what a repair would do"] = terminal.type(f"ts-migration repair --table {GENERATION} --dry-run")
    scenes["repaired"] = terminal.type(f"ts-migration repair --table {GENERATION}")
    scenes["what a rollback would do"] = terminal.type(f"ts-migration rollback {GENERATION} --dry-run")
    scenes["rolled back"] = terminal.type(f"ts-migration rollback {GENERATION} --approve")
    scenes["shut"] = terminal.type("ts-migration cutover --status")


def _lose_s3(stack: EmbeddedStack, terminal: Terminal, scenes: Scenes) -> None:
    """Executed again, beside the migration of another configuration; once that is over, S3 goes in the midst of a load."""
    _slow(stack, FaultyService.INFLUXDB, GENERATION_WRITES, delay_s=3)
    _slow(stack, FaultyService.INFLUXDB, PLANTS_WRITES, delay_s=1)
    with terminal.typing("ts-migration execute --config plants.yaml") as beside:
        _await(lambda: "job id" in beside.so_far, "another migration to begin", beside)
        with terminal.typing(f"{EXECUTE} --parallel-jobs 2") as executing:
            _await_ids(executing)
            assert beside.poll() is None, "it was over before this one began"
            scenes["side by side"] = beside.end()
            _await_hit(stack, executing, GENERATION_WRITES)
            _stop(stack, Service.S3)
            scenes["without s3"] = executing.end()
    clear_faults(stack.folder)
    scenes["s3 is back"] = terminal.type("ts-migration local up")


def _kill(stack: EmbeddedStack, terminal: Terminal, scenes: Scenes) -> None:
    """And again: it is killed with its worker, while Dagster's pools have one place each; Dagster goes on with a window."""
    with history(stack) as instance:
        for pool in (UNLOAD_POOL, WRITE_POOL):
            instance.event_log_storage.set_concurrency_slots(pool, 1)
    _slow(stack, FaultyService.INFLUXDB, GENERATION_WRITES, delay_s=0.5)
    with terminal.typing(f"{EXECUTE} --region us-east-1") as executing:
        ids = _await_ids(executing)
        # The bucket is there: the look at the prerequisites is a write of nothing, too.
        _await_hit(stack, executing, GENERATION_WRITES, least=3)
        signal_all([executing.pid, *executing.children], signal.SIGKILL)
        killed = time.monotonic()
        executing.end()
        scenes["monitor a killed one"] = terminal.type(f"{MONITOR} --job-ids job1 job2", ids.filled)
        scenes["status of a killed one"] = terminal.type("ts-migration status")
        assert time.monotonic() - killed < TOLD_WITHIN_S
    clear_faults(stack.folder)
    asset = "ons_energy_data/generation_data/influxdb_bucket"
    scenes["in dagster"] = terminal.type(
        f"python -m dagster asset materialize -m ts_migration.definitions --select 'key:\"{asset}\"' "
        "--partition 2023-01-01"
    )


def _finish(_stack: EmbeddedStack, terminal: Terminal, scenes: Scenes) -> None:
    """The guide's quick start ends it, in a terminal that knows no more than what was sourced."""
    execute = "python scripts/execute_migration.py --config scripts/migration_config.yaml"
    scenes["environment of the appendix"] = terminal.type(
        APPENDIX_A.rstrip(),
        {"https://your-influxdb-endpoint:8086": "http://127.0.0.1:1", "your-influxdb-token": "none"},
    )
    scenes["environment"] = terminal.type(QUICK_START)
    scenes["quick dry run"] = terminal.type(f"{execute} --dry-run", first=QUICK_START)
    scenes["executed again"] = terminal.type(execute, first=QUICK_START)
    scenes["validated"] = terminal.type(f"{VALIDATE} --parallel")
    scenes["open"] = terminal.type("ts-migration cutover --status")


def _clean_up(stack: EmbeddedStack, terminal: Terminal, scenes: Scenes) -> None:
    """The guide's queries, cleanup and archive; after it all is still proven."""
    write_one_value(stack, "generation_data", "measured", time.time_ns() - 1_800_000_000_000)
    for scene, flux in (
        ("first query", 'from(bucket:"generation_data") |> range(start:-1h) |> limit(n:10)'),
        ("second query", 'from(bucket:"generation_data") |> range(start:-24h) |> aggregateWindow(every:1h, fn:mean)'),
    ):
        scenes[scene] = terminal.type(f"influx query '{flux}'")
    scenes["what a cleanup would do"] = terminal.type("ts-migration cleanup --dry-run")
    scenes["cleaned up by the tool"] = terminal.type(f"ts-migration cleanup --job {GENERATION}")
    bucket = {"your-export-bucket": stack.variables["S3_EXPORT_BUCKET"]}
    scenes["cleaned up"] = terminal.type("aws s3 rm s3://your-export-bucket/timestream-export/ --recursive", bucket)
    validate = "python scripts/validate_migration.py --config scripts/migration_config.yaml"
    scenes["validated after the cleanup"] = terminal.type(validate, first=QUICK_START)
    scenes["archived"] = terminal.type("tar -czf migration_logs_$(date +%Y%m%d).tar.gz *.log migration_results_*.json")
    scenes["archive"] = terminal.type("tar -tzf migration_logs_*.tar.gz")


def _fill_the_disk(stack: EmbeddedStack, terminal: Terminal, scenes: Scenes) -> None:
    """The disk of Dagster's home is full, then there is room again; left out where no file system can be mounted."""
    (stack.folder / "home").mkdir()
    if terminal.type("unshare --map-root-user --mount mount -t tmpfs disk home").code != 0:
        return
    script = "; ".join(
        [
            "mount -t tmpfs -o size=3m disk home",
            "head -c 2900k /dev/zero > home/fill",
            "ts-migration execute --config plants.yaml",
            "echo @@$? | tee /dev/stderr",
            "rm home/fill",
            "ts-migration execute --config plants.yaml",
        ]
    )
    line = f"unshare --map-root-user --mount bash -c '{script}'"
    # The command remembers the home that it was given: the folder's own is put back.
    remembered = (stack.folder / ".env").read_text(encoding="utf-8")
    said = terminal.type(line, first=f"export DAGSTER_HOME={stack.folder / 'home'}")
    (stack.folder / ".env").write_text(remembered, encoding="utf-8")
    (out, after), (err, err_after) = said.out.split("@@"), said.err.split("@@")
    for scene, code, texts in (("full disk", int(after[0]), (out, err)), ("room again", said.code, (after, err_after))):
        scenes[scene] = Said("ts-migration execute", "ts-migration execute", code, *texts)
        terminal.history.append(scenes[scene])


def overwrite_one_value(stack: EmbeddedStack, bucket: str, field: str, since: str, until: str) -> None:
    """Take the first value of a field in a range, and write it again a little larger."""
    names = stack.variables
    headers = {"Authorization": f"Token {names['INFLUXDB_TOKEN']}"}
    query = f"SELECT {field} FROM {bucket} WHERE time >= '{since}T00:00:00Z' AND time < '{until}T00:00:00Z' GROUP BY * LIMIT 1"
    answer = urllib3.request(
        "GET", f"{names['INFLUXDB_URL']}/query", fields={"db": bucket, "q": query, "epoch": "ns"}, headers=headers
    )
    found = answer.json()["results"][0]["series"][0]
    moment, value = found["values"][0]
    tags = "".join(f",{key}={_tag(text)}" for key, text in found["tags"].items() if text)
    _write(stack, bucket, f"{bucket}{tags} {field}={value + 1.0!r} {moment}")


def write_one_value(stack: EmbeddedStack, bucket: str, measurement: str, time_ns: int) -> None:
    """A point of somebody else's."""
    _write(stack, bucket, f"{measurement} value=2.5 {time_ns}")


def _write(stack: EmbeddedStack, bucket: str, line: str) -> None:
    names = stack.variables
    answer = urllib3.request(
        "POST",
        f"{names['INFLUXDB_URL']}/api/v2/write?org={names['INFLUXDB_ORG']}&bucket={bucket}&precision=ns",
        body=line.encode(),
        headers={"Authorization": f"Token {names['INFLUXDB_TOKEN']}"},
    )
    assert answer.status == 204, answer.data


def _tag(text: str) -> str:
    return re.sub(r"([,= ])", r"\\\1", text)


def _slow(stack: EmbeddedStack, service: FaultyService, on: str, delay_s: float) -> None:
    set_fault(stack.folder, FaultRule(service, FaultKind.SLOW, on=on, delay_s=delay_s))


def _await_hit(stack: EmbeddedStack, executing: Going, on: str, least: int = 1) -> None:
    """Wait until a step that is slow is at work."""
    _await(lambda: any(each.hit >= least and each.rule.on == on for each in list_faults(stack.folder)), on, executing)


def _stop(stack: EmbeddedStack, service: Service) -> None:
    stop(require_state(stack.folder).processes[service])


def _await_ids(executing: Going) -> Ids:
    """Ids of the jobs that a command has told that it began."""

    def told() -> Ids | None:
        found = re.findall(r"job id ((?:[a-z]+-)+\d{8}t\d{4}-[0-9a-f]{4})", executing.so_far)
        return Ids(tuple(found)) if len(found) == len(JOBS) else None

    return _await(told, "the ids of the jobs", executing)


def _await(look: Callable[[], Found | None], what: str, executing: Going | None = None) -> Found:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        if executing is not None:
            assert executing.poll() is None, executing.so_far
        time.sleep(0.1)
    raise AssertionError(f"waited {WAIT_S} s in vain for {what}")


def programs_folder(stack: EmbeddedStack) -> Path:
    """Where the terminal's programs lie."""
    return stack.folder / "bin"


OUTPUTS = {
    "migration_orchestrator_lambda_arn": "MIGRATION_ORCHESTRATOR_LAMBDA_ARN",
    "migration_state_machine_arn": "MIGRATION_STATE_MACHINE_ARN",
    "migration_export_bucket": "S3_EXPORT_BUCKET",
    "migration_notification_topic_arn": "NOTIFICATION_TOPIC_ARN",
}
"""Terraform's outputs, which become these variables."""


def variables_of(exports: Mapping[str, str]) -> dict[str, str]:
    """Variables of the shells: the embedded stack's, but for those that come from Terraform's outputs."""
    outputs = {f"OUTPUT_{output}": exports[name] for output, name in OUTPUTS.items()}
    return {name: value for name, value in exports.items() if name not in OUTPUTS.values()} | outputs
