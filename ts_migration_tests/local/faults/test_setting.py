"""`local faults` as a user lives with it: set and cleared while servers run, told by status, gone after `down`."""

import pytest
import urllib3

from ts_migration.errors import Missing, Permanent
from ts_migration.local import stack
from ts_migration.local.faults.rules import FaultKind, FaultRule, FaultyService
from ts_migration.local.faults.setting import clear_faults, list_faults, set_fault
from ts_migration.local.processes import stop
from ts_migration.local.state import Service, StackFolder
from ts_migration_tests.embedded_stack import EmbeddedStack

pytestmark = pytest.mark.stack

REFUSED = FaultRule(FaultyService.INFLUXDB, FaultKind.ERROR, "GET /api/v2/*", times=2)
NO_PUT = FaultRule(FaultyService.S3, FaultKind.ERROR, "PUT *")
BUCKET = "migration-export"


def status_of(one: EmbeddedStack) -> int:
    """What InfluxDB answers."""
    return urllib3.request("GET", f"{one.variables['INFLUXDB_URL']}/api/v2/orgs", retries=False).status


def faults(one: EmbeddedStack) -> dict[Service, tuple[str, ...]]:
    return {each.service: each.faults for each in stack.status(one.folder) if each.faults}


def states(one: EmbeddedStack) -> set[str]:
    return {each.state for each in stack.status(one.folder)}


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory):
    one = EmbeddedStack(tmp_path_factory.mktemp("setting"))
    one.up()
    yield one
    one.down()


@pytest.fixture(autouse=True)
def no_faults(own_stack):
    yield
    own_stack.up()
    clear_faults(own_stack.folder)


def test_a_fault_is_set_and_cleared_while_the_server_runs(own_stack):
    set_fault(own_stack.folder, REFUSED)
    assert [status_of(own_stack) for _ in range(3)] == [500, 500, 401]
    (told,) = list_faults(own_stack.folder)
    assert (told.rule, told.seen, told.hit) == (REFUSED, 3, 2)
    assert clear_faults(own_stack.folder, FaultyService.S3) == ()
    assert clear_faults(own_stack.folder) == (FaultyService.INFLUXDB,)
    assert list_faults(own_stack.folder) == ()


def test_a_rule_of_the_same_place_is_replaced_and_begins_to_count_anew(own_stack):
    set_fault(own_stack.folder, REFUSED)
    status_of(own_stack)
    again = FaultRule(REFUSED.service, REFUSED.kind, REFUSED.on, times=1)
    assert set_fault(own_stack.folder, again) == (again,)
    assert [status_of(own_stack) for _ in range(2)] == [500, 401]


def test_s3_stands_behind_the_forwarder_only_while_a_fault_is_set(own_stack):
    s3, port = own_stack.s3(), own_stack.variables["AWS_ENDPOINT_URL_S3"]
    s3.put_object(Bucket=BUCKET, Key="before", Body=b"1")
    set_fault(own_stack.folder, NO_PUT)
    assert states(own_stack) == {"running"}
    with pytest.raises(s3.exceptions.ClientError, match="InternalError"):
        s3.put_object(Bucket=BUCKET, Key="meanwhile", Body=b"1")
    clear_faults(own_stack.folder)
    s3.put_object(Bucket=BUCKET, Key="after", Body=b"1")
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["after", "before"]
    assert own_stack.variables["AWS_ENDPOINT_URL_S3"] == port
    assert urllib3.request("GET", f"{port}/_embedded/faults", retries=False).status != 200


def test_status_tells_of_faults_and_an_up_beside_running_servers_keeps_them(own_stack):
    set_fault(own_stack.folder, REFUSED)
    set_fault(own_stack.folder, NO_PUT)
    assert faults(own_stack) == {Service.S3: ("error",), Service.INFLUXDB: ("error",)}
    again = own_stack.up()
    assert (again.started, again.faults) == ((), (FaultyService.INFLUXDB, FaultyService.S3))


def test_down_ends_all_faults(own_stack):
    set_fault(own_stack.folder, REFUSED)
    set_fault(own_stack.folder, NO_PUT)
    stack.down(own_stack.folder)
    again = own_stack.up()
    assert (again.faults, again.cleared_faults, faults(own_stack)) == ((), (), {})
    assert status_of(own_stack) == 401


def test_an_up_where_nothing_ran_ends_faults_of_an_earlier_life_and_tells(own_stack):
    set_fault(own_stack.folder, REFUSED)
    state = StackFolder(own_stack.folder).read()
    for process in state.processes.values():
        stop(process)
    again = own_stack.up()
    assert (again.faults, again.cleared_faults) == ((), (FaultyService.INFLUXDB,))
    assert status_of(own_stack) == 401


def test_a_fault_of_a_server_that_does_not_run_is_refused(own_stack):
    stop(StackFolder(own_stack.folder).read().processes[Service.INFLUXDB])
    with pytest.raises(Permanent, match=r"influxdb does not run.*ts-migration local up"):
        set_fault(own_stack.folder, REFUSED)


def test_without_a_stack_there_is_nothing_to_set(tmp_path):
    with pytest.raises(Missing, match="ts-migration local up"):
        set_fault(tmp_path, REFUSED)


def test_the_commands_say_what_is_set_and_how_it_ends(own_stack):
    done = own_stack.run(
        "local", "faults", "set", "influxdb", "slow", "--share", "0.5", "--seed", "3", "--delay", "0.1"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "influxdb: slow, 50% (seed 3), for ever")
    assert "ts-migration local faults clear influxdb" in done.stderr
    listed = own_stack.run("local", "faults", "list")
    assert "influxdb" in listed.stdout and "50% (seed 3), for ever" in listed.stdout
    status = own_stack.run("local", "status")
    assert "influxdb was told to misbehave: slow" in status.stderr
    wrong = own_stack.run("local", "faults", "set", "s3", "reset", "--every", "0", "--delay", "1")
    assert wrong.returncode == 2
    assert [line for line in wrong.stderr.splitlines() if line.startswith("error:")] == [
        "error: fault rule: 2 mistakes in the configuration"
    ]
    assert own_stack.run("local", "faults", "clear").stdout.strip() == "cleared: influxdb"
