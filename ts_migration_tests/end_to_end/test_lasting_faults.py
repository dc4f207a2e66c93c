"""A fault that lasts ends `execute` soon, with one error that says which service failed; cleared, it goes on to the proof.

One table, one command, three times in vain: Timestream fails, then S3, then InfluxDB, each in a later stage than the last.
"""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ts_migration.local.faults.setting import clear_faults, list_faults
from ts_migration_tests.embedded_stack import EmbeddedStack, configuration
from ts_migration_tests.end_to_end.history import unfinished
from ts_migration_tests.end_to_end.manifests import Objects
from ts_migration_tests.end_to_end.target import count, plain_client

pytestmark = pytest.mark.stack

TABLE = "load_data"
WINDOW = "2023-01-01"
CONFIG = configuration(TABLE, start="2023-01-01T00:00:00Z", end="2023-01-31T23:59:59Z") + (
    "migration_settings:\n  parallel_jobs: 1\n  retry_delay_seconds: 0.05\n"
)
SOON_S = 40

LASTING = {
    # Service -> what fails for ever: something that only the stage asks for, or the prerequisites would tell of it.
    "timestream": ("error", "Query UNLOAD*", "InternalServerException"),
    "s3": ("error", "PUT */line-protocol/*", "InternalError"),
    "influxdb": ("unavailable", f"POST /api/v2/write?*bucket={TABLE}*", "InfluxDB answered 503"),
}
STAGES = {"timestream": [], "s3": ["export"], "influxdb": ["export", "line_protocol"]}
"""What is done of the window when the service has ended the command."""


@dataclass(frozen=True)
class Ended:
    """A command that a fault has ended, in seconds; how many requests the fault hit, and the stages that were done."""

    answer: subprocess.CompletedProcess[str]
    seconds: float
    hit: int
    done: list[str]


@dataclass(frozen=True)
class Journey:
    """Three times in vain, then well."""

    stack: EmbeddedStack
    ended: dict[str, Ended]
    last: subprocess.CompletedProcess[str]


def fail(stack: EmbeddedStack, objects: Objects, service: str) -> Ended:
    """`execute` while a service fails for ever, then the fault cleared."""
    kind, on, _ = LASTING[service]
    answer = stack.run("local", "faults", "set", service, kind, "--on", on)
    assert answer.returncode == 0, answer.stderr
    started = time.monotonic()
    ended = stack.run("execute")
    seconds = time.monotonic() - started
    (fault,) = list_faults(stack.folder)
    done = [stage for stage in ("export", "line_protocol", "load", "verdicts") if objects.has(WINDOW, stage)]
    clear_faults(stack.folder)
    return Ended(ended, seconds, fault.hit, done)


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    stack = EmbeddedStack(tmp_path_factory.mktemp("lasting"))
    stack.up()
    try:
        stack.seed_examples(600)
        stack.write_config(CONFIG)
        objects = Objects(stack, f"ons_energy_data/{TABLE}")
        ended = {service: fail(stack, objects, service) for service in LASTING}
        yield Journey(stack, ended, stack.run("execute"))
    finally:
        stack.down()


@pytest.mark.parametrize("service", LASTING)
def test_a_lasting_fault_ends_the_command_soon_with_one_error_of_that_service(journey, service):
    ended = journey.ended[service]
    assert ended.answer.returncode == 1, ended.answer.stdout + ended.answer.stderr
    assert ended.seconds < SOON_S
    errors = [line for line in ended.answer.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1, ended.answer.stderr
    assert LASTING[service][2] in errors[0]
    assert "Traceback" not in ended.answer.stderr
    assert "This is a bug" not in ended.answer.stderr


@pytest.mark.parametrize("service", LASTING)
def test_what_was_done_before_the_fault_stays_done(journey, service):
    assert journey.ended[service].done == STAGES[service]


@pytest.mark.parametrize("service", LASTING)
def test_the_fault_happened_and_was_not_tried_for_ever(journey, service):
    # Retries of boto3, of the tool and of Dagster: each layer has its own, and none multiplies those of the others twice.
    # Of S3 a conversion asks two things side by side: a part and the index.
    assert 1 <= journey.ended[service].hit <= (48 if service == "s3" else 24)


def test_once_no_fault_is_left_the_same_command_ends_proven(journey):
    assert journey.last.returncode == 0, journey.last.stdout + journey.last.stderr
    objects = Objects(journey.stack, f"ons_energy_data/{TABLE}")
    assert objects.statuses() == {WINDOW: "proven"}
    assert objects.migrated()["status"] == "proven"
    with plain_client(journey.stack) as client:
        found = count(client, TABLE, TABLE, "2023-01-01T00:00:00Z", "2023-02-01T00:00:00Z")
    assert set(found.values()) == {objects.read(WINDOW, "export")["rows"]}


def test_no_run_is_left_that_dagster_takes_for_running(journey):
    assert unfinished(journey.stack) == []
