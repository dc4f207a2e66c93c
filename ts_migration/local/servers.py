"""The four servers of the stack: command line, variables, and the answer by which each is known to be well.

Adding a server is adding an entry here. Starting and stopping them is in `stack`.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ts_migration.local import s3_server
from ts_migration.local.faults.rules import rules_file
from ts_migration.local.processes import LOOPBACK
from ts_migration.local.state import Service, StackState
from ts_migration.local.variables import ORG, SETUP_BUCKET, aws_variables

INFLUXDB_VERSION = "2.7.11"
"""What the embedded InfluxDB answers as: the version of Timestream for InfluxDB whose answers were recorded."""

_TOKEN_VARIABLE = "INFLUXDB_ADMIN_TOKEN"  # noqa: S105 - a variable's name


@dataclass(frozen=True, slots=True)
class Server:
    """How one server is started and asked whether it is well.

    Attributes:
        command: the command line for a state and the server's data folder.
        health: path of the GET that tells.
        healthy: statuses of a server that is up.
        variables: environment variables of its process, secrets among them (never on the command line: `ps` shows it).
    """

    command: Callable[[StackState, Path], list[str]]
    health: str
    healthy: frozenset[int]
    variables: Callable[[StackState], dict[str, str]]


def _listen(state: StackState, service: Service) -> list[str]:
    return ["--host", LOOPBACK, "--port", str(state.ports[service])]


def _s3(state: StackState, data: Path) -> list[str]:
    faults = rules_file(data)
    if not faults.is_file():
        return s3_server.command(state.ports[Service.S3], data)
    # rclone cannot misbehave: a program that can stands in front of it while it shall.
    program = [sys.executable, "-m", "ts_migration.local.faults", "--port", str(state.ports[Service.S3])]
    return [*program, "--data", str(data), "--faults", str(faults)]


def _timestream(state: StackState, data: Path) -> list[str]:
    program = [sys.executable, "-m", "ts_migration.local.timestream", *_listen(state, Service.TIMESTREAM)]
    faults = ["--faults", str(rules_file(data))]
    return [*program, "--data", str(data), "--s3-endpoint", state.url(Service.S3), *faults]


def _influxdb(state: StackState, data: Path) -> list[str]:
    program = [sys.executable, "-m", "ts_migration.local.influxdb", *_listen(state, Service.INFLUXDB)]
    setup = ["--org", ORG, "--bucket", SETUP_BUCKET, "--token-env", _TOKEN_VARIABLE, "--version", INFLUXDB_VERSION]
    return [*program, "--data", str(data), *setup, "--faults", str(rules_file(data))]


def _aws(state: StackState, _data: Path) -> list[str]:
    return [sys.executable, "-m", "ts_migration.local.aws_server", "-H", LOOPBACK, "-p", str(state.ports[Service.AWS])]


SERVERS: dict[Service, Server] = {
    Service.S3: Server(
        _s3,
        "/",
        s3_server.HEALTHY,
        lambda state: s3_server.environment(state.access_key_id, state.secret_access_key),
    ),
    Service.TIMESTREAM: Server(_timestream, "/_embedded/health", frozenset({200}), aws_variables),
    Service.INFLUXDB: Server(
        _influxdb, "/health", frozenset({200}), lambda state: {_TOKEN_VARIABLE: state.influxdb_token}
    ),
    Service.AWS: Server(_aws, "/moto-api/", frozenset({200}), lambda _state: {}),
}
