"""What is remembered of an embedded stack between commands: ports, secrets and processes, in one file of mode 600.

Values and their file only. Starting and stopping is in `stack`; what a process is and whether it lives, in `processes`.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ts_migration.environment import state_folder
from ts_migration.errors import Permanent
from ts_migration.local.processes import ProcessId


class Service(StrEnum):
    """The servers of the stack, in the order in which they start."""

    S3 = "s3"
    TIMESTREAM = "timestream"
    INFLUXDB = "influxdb"
    AWS = "aws"
    """moto: SNS, Lambda, Step Functions, Secrets Manager and the other small services."""


class StackState(BaseModel):
    """Ports and secrets are chosen at the first `up` and kept; processes change with every one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = 1
    ports: dict[Service, int] = Field(default_factory=dict)
    processes: dict[Service, ProcessId] = Field(default_factory=dict)
    access_key_id: str = Field(default_factory=lambda: "EMBEDDED" + secrets.token_hex(6).upper())
    secret_access_key: str = Field(default_factory=lambda: secrets.token_hex(20))
    influxdb_token: str = Field(default_factory=lambda: secrets.token_urlsafe(48))

    def url(self, service: Service) -> str:
        """The base URL of a service, without a slash at its end."""
        return f"http://127.0.0.1:{self.ports[service]}"

    def with_port(self, service: Service, port: int) -> "StackState":
        """The same state with one port changed."""
        return self.model_copy(update={"ports": {**self.ports, service: port}})

    def with_process(self, service: Service, process: ProcessId | None) -> "StackState":
        """The same state with one process changed or taken out."""
        others = {name: known for name, known in self.processes.items() if name is not service}
        return self.model_copy(update={"processes": {**others, service: process} if process else others})


class StackFolder:
    """The files of a stack under `.ts_migration/local/` of a working folder."""

    def __init__(self, cwd: Path) -> None:
        self.cwd = cwd.resolve()
        self.root = state_folder(self.cwd) / "local"

    @property
    def state_file(self) -> Path:
        """Where the state is kept."""
        return self.root / "state.json"

    def data(self, service: Service) -> Path:
        """The folder that a service keeps its data in."""
        return self.root / service.value

    def log(self, service: Service) -> Path:
        """What a service printed."""
        return self.root / "logs" / f"{service.value}.log"

    def read(self) -> StackState | None:
        """The state, or None where the stack was never started here.

        Raises:
            Permanent: the file is damaged.
        """
        try:
            return StackState.model_validate_json(self.state_file.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise Permanent(
                f"the state of the embedded stack is damaged: {error.errors()[0]['msg']}",
                where=str(self.state_file),
                next_step="stop the servers by hand if any run, delete the file, then `ts-migration local up`",
            ) from error

    def write(self, state: StackState) -> StackState:
        """Keep a state, mode 600: it holds the token."""
        self.root.mkdir(parents=True, exist_ok=True)
        fresh = self.state_file.with_name(f"state.{os.getpid()}.tmp")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(state.model_dump_json(indent=2).encode() + b"\n")
        fresh.replace(self.state_file)
        return state

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second `up` or `down` of the same folder waiting."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield
