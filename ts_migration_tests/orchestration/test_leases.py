"""One run at a time works on a window: a second one waits, a dead one holds nothing."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from ts_migration.errors import Transient
from ts_migration.objects import ExportBucket, TablePlace
from ts_migration.orchestration import leases
from ts_migration.orchestration.leases import EXPIRY_S, is_leased, leased
from ts_migration.orchestration.run_leases import run_lease
from ts_migration_tests.local.s3 import running_s3, s3_client

PLACE = TablePlace("grid/load").window("2023-01-01")

HOLDER = """\
import sys, time
from pathlib import Path
from ts_migration.objects import ExportBucket, TablePlace
from ts_migration.orchestration.leases import leased
from ts_migration_tests.local.s3 import s3_client
bucket = ExportBucket(s3_client(sys.argv[1]), "export")
place = TablePlace("grid/load").window("2023-01-01")
with leased(bucket, place, "killed", lock_folder=Path(sys.argv[2]), wait_s=0, on_wait=print):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    with running_s3(tmp_path_factory.mktemp("leases")) as (url, *_):
        s3_client(url).create_bucket(Bucket="export")
        yield url


@pytest.fixture
def bucket(endpoint):
    one = ExportBucket(s3_client(endpoint), "export")
    yield one
    one.delete(PLACE.lease)


def take(bucket, folder, owner, wait_s=0.0, told=None):
    return leased(
        bucket, PLACE, owner, lock_folder=folder, wait_s=wait_s, on_wait=(told if told is not None else []).append
    )


def lay(bucket, owner, age_s, folder="elsewhere"):
    """A lease of a run on another machine."""
    bucket.put(PLACE.lease, json.dumps({"owner": owner, "folder": folder, "beat": time.time() - age_s}).encode())


def test_a_second_run_on_this_machine_waits_and_then_refuses(bucket, tmp_path):
    told = []
    with (
        take(bucket, tmp_path, "first"),
        pytest.raises(Transient, match="still working on this window"),
        take(bucket, tmp_path, "second", 0.3, told),
    ):
        pytest.fail("two runs work on one window")
    assert len(told) == 1
    assert "waiting" in told[0]


def test_a_second_run_goes_on_when_the_first_one_ends(bucket, tmp_path):
    entered = threading.Event()

    def second():
        with take(bucket, tmp_path, "second", 20):
            entered.set()

    with take(bucket, tmp_path, "first"):
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.3)
    assert entered.wait(20)
    thread.join(20)


def test_a_run_of_another_machine_is_waited_for_and_then_refused(bucket, tmp_path):
    lay(bucket, "elsewhere", age_s=1)
    told = []
    with (
        pytest.raises(Transient, match="the run elsewhere is still working"),
        take(bucket, tmp_path, "second", 0.3, told),
    ):
        pytest.fail("two runs work on one window")
    assert told == ["the run elsewhere works on window 2023-01-01 of grid/load: waiting"]
    assert json.loads(bucket.get(PLACE.lease))["owner"] == "elsewhere", "a lease that was refused is left alone"


def test_a_run_of_another_machine_whose_heart_has_stopped_is_taken_over(bucket, tmp_path):
    lay(bucket, "gone", age_s=EXPIRY_S + 1)
    told = []
    with take(bucket, tmp_path, "second", told=told):
        assert json.loads(bucket.get(PLACE.lease))["owner"] == "second"
    assert "is dead: taking over" in told[0]


def test_a_run_takes_its_own_lease_again(bucket, tmp_path):
    lay(bucket, "same", age_s=1)
    with take(bucket, tmp_path, "same"):
        pass
    assert bucket.get_or_none(PLACE.lease) is None


def test_a_killed_process_holds_nothing_at_once(bucket, endpoint, tmp_path):
    command = [sys.executable, "-c", HOLDER, endpoint, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        assert is_leased(bucket, PLACE, tmp_path)
        with pytest.raises(Transient), take(bucket, tmp_path, "second", 0.2):
            pytest.fail("two processes work on one window")
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        assert bucket.get_or_none(PLACE.lease), "it had no time to clean up"
        assert not is_leased(bucket, PLACE, tmp_path)
        # Its heart beat a moment ago: only the file lock tells that it is dead.
        with take(bucket, tmp_path, "second", 0.5):
            assert json.loads(bucket.get(PLACE.lease))["owner"] == "second"


def test_a_lease_is_renewed_while_it_is_held(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "HEARTBEAT_S", 0.05)
    with take(bucket, tmp_path, "first"):
        first = json.loads(bucket.get(PLACE.lease))["beat"]
        deadline = time.monotonic() + 10
        while json.loads(bucket.get(PLACE.lease))["beat"] == first:
            assert time.monotonic() < deadline, "the heart does not beat"
            time.sleep(0.02)
    assert bucket.get_or_none(PLACE.lease) is None, "a lease that was let go is gone"


def test_an_error_inside_lets_the_window_go(bucket, tmp_path):
    with pytest.raises(ZeroDivisionError), take(bucket, tmp_path, "first"):
        raise ZeroDivisionError
    assert not is_leased(bucket, PLACE, tmp_path)


def test_windows_are_leased_one_by_one(bucket, tmp_path):
    other = TablePlace("grid/load").window("2023-02-01")
    with (
        take(bucket, tmp_path, "first"),
        leased(bucket, other, "second", lock_folder=tmp_path, wait_s=0, on_wait=pytest.fail),
    ):
        assert is_leased(bucket, other, tmp_path)
    assert not is_leased(bucket, other, tmp_path)


def test_a_run_that_slept_while_another_machine_took_over_writes_nothing_and_leaves_that_lease(
    bucket, tmp_path, monkeypatch
):
    monkeypatch.setattr(leases, "SURE_S", -1.0)
    with run_lease(bucket, PLACE, "sleeper", lock_folder=tmp_path, wait_s=0, on_wait=print, keep_s=0) as own:
        own.put(PLACE.manifest("load"), b"{}")
        lay(bucket, "successor", 0)
        for write in (
            lambda: own.put(PLACE.manifest("load"), b"late"),
            lambda: own.delete(PLACE.manifest("load")),
            lambda: own.upload(PLACE.manifest("load"), io.BytesIO(b"late")),
        ):
            with pytest.raises(Transient, match="taken over by the run successor"):
                write()
    assert bucket.get(PLACE.manifest("load")) == b"{}"
    assert json.loads(bucket.get(PLACE.lease))["owner"] == "successor"
    bucket.delete(PLACE.manifest("load"))


def test_a_heart_that_beats_again_does_not_overwrite_the_lease_of_another_run(bucket, tmp_path, monkeypatch):
    with take(bucket, tmp_path, "sleeper") as lease:
        lay(bucket, "successor", 0)
        monkeypatch.setattr(leases, "SURE_S", -1.0)
        with pytest.raises(Transient):
            lease.beat()
        assert json.loads(bucket.get(PLACE.lease))["owner"] == "successor"


def test_a_run_that_slept_and_still_holds_its_window_goes_on(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "SURE_S", -1.0)
    with take(bucket, tmp_path, "sleeper") as lease:
        lease.require()
    assert not any(bucket.list(PLACE.lease))
