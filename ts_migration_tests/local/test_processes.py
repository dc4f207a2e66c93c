"""Processes are known by pid and start time, started detached and ended for certain."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ts_migration.errors import Permanent
from ts_migration.local import processes
from ts_migration.local.processes import ProcessId, alive, await_health, free_port, start, started_at, stop

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)",
]


def started(tmp_path, command=SLEEPER):
    return start(command, log=tmp_path / "log", cwd=tmp_path, environment=os.environ)


def test_a_process_is_ended_by_sigterm(tmp_path):
    process = started(tmp_path)
    assert alive(process)
    assert stop(process)
    assert not alive(process)
    assert not stop(process)


def test_a_process_that_ignores_sigterm_is_killed(tmp_path):
    process = started(tmp_path, STUBBORN)
    deadline = time.monotonic() + 10
    while b"deaf" not in (tmp_path / "log").read_bytes() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert stop(process, grace_s=0.2)
    assert not alive(process)


def test_a_recycled_pid_is_never_taken_for_ours(tmp_path):
    # The machine was restarted and our old pid now belongs to somebody's editor: `down` must not end it.
    process = started(tmp_path)
    stranger = ProcessId(pid=process.pid, started="12345")
    try:
        assert not alive(stranger)
        assert not stop(stranger)
        assert alive(process)
    finally:
        stop(process)


def test_a_zombie_is_dead(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    process = ProcessId(pid=child.pid, started=started_at(child.pid) or "gone")
    deadline = time.monotonic() + 10
    while alive(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(process)
    child.returncode = 0


def test_a_process_outlives_the_one_that_started_it(tmp_path):
    script = (
        "import os, sys; from pathlib import Path; from ts_migration.local.processes import start;"
        "p = start([sys.executable, '-c', 'import time; time.sleep(60)'], log=Path('log'), cwd=Path('.'),"
        "environment=os.environ); print(p.model_dump_json())"
    )
    answer = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    process = ProcessId.model_validate_json(answer.stdout)
    try:
        assert alive(process)
        assert os.getsid(process.pid) == process.pid
    finally:
        stop(process)


def test_a_server_that_ends_while_it_starts_shows_the_end_of_its_log(tmp_path):
    process = started(tmp_path, [sys.executable, "-c", "raise SystemExit('no disk left on device')"])
    with pytest.raises(Permanent, match=r"(?s)embedded s3 ended while it started.*no disk left on device"):
        await_health("s3", process, "http://127.0.0.1:9/", frozenset({200}), log=tmp_path / "log", port=free_port())


def test_a_server_that_never_answers_is_told_after_the_time_given(tmp_path):
    process = started(tmp_path)
    try:
        with pytest.raises(Permanent, match="did not answer"):
            await_health(
                "aws", process, "http://127.0.0.1:9/", frozenset({200}), log=tmp_path / "log", port=9, timeout_s=0.3
            )
    finally:
        stop(process)


def test_only_the_log_of_the_latest_start_is_shown(tmp_path):
    for text in ("first start", "second start"):
        process = started(tmp_path, [sys.executable, "-c", f"print('{text}')"])
        while alive(process):
            time.sleep(0.02)
    assert processes.log_tail(tmp_path / "log").strip() == "second start"


def test_a_free_port_is_free_and_none_of_the_taken_ones():
    ports = [free_port()]
    ports.append(free_port(ports))
    assert ports[0] != ports[1]
    assert all(processes.port_is_free(port) for port in ports)


def test_a_program_that_is_not_there_is_one_message(tmp_path):
    with pytest.raises(Permanent, match=r"nowhere/program.*cannot be started"):
        started(tmp_path, ["/nowhere/program"])


def test_sigterm_is_tried_before_sigkill(tmp_path, monkeypatch):
    sent = []
    real_kill = os.kill
    monkeypatch.setattr(os, "kill", lambda pid, number: (sent.append(number), real_kill(pid, number)))
    stop(started(tmp_path))
    assert sent == [signal.SIGTERM]
