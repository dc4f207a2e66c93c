"""`local up`, `down` and `status`: four detached servers on loopback, their data under `.ts_migration/local/`.

Ports and secrets are chosen once and kept; data survives `down`. Each server is a program of its own package
(`local.timestream`, `local.influxdb`, rclone, moto); here they are only started, watched and stopped.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ts_migration.dotenv import FILE_NAME, STACK_BLOCK, remove_block, write_block
from ts_migration.environment import default_dagster_home, remember
from ts_migration.errors import Missing, Permanent
from ts_migration.local.faults.rules import FaultyService, read_rules, rules_file, write_rules
from ts_migration.local.processes import PortTaken, alive, answers, await_health, free_port, port_is_free, start, stop
from ts_migration.local.resources import make_resources
from ts_migration.local.servers import SERVERS
from ts_migration.local.state import Service, StackFolder, StackState
from ts_migration.local.variables import stack_variables

_FAULTY = frozenset(Service(service.value) for service in FaultyService)
_STARTS = 5
"""A free port may be taken by another before our server has it: that often a new one is chosen."""


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One server as `local status` shows it: running, not answering or stopped; `bytes` is its data on disk.

    `faults` are the kinds that it was told to misbehave in.
    """

    service: Service
    state: str
    url: str
    pid: int | None
    bytes: int
    log: Path
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """What `up` did: servers started now, and variables of `.env` that are the user's own and were left alone.

    `faults` are services that still misbehave, as they were told to before; `cleared_faults`, those that no longer do.
    """

    state: StackState
    started: tuple[Service, ...]
    kept_variables: tuple[str, ...]
    faults: tuple[FaultyService, ...] = ()
    cleared_faults: tuple[FaultyService, ...] = ()


def up(cwd: Path, report: Callable[[str], None] = lambda _line: None) -> Started:
    """Start what does not run, make the guide's resources, and write `.env`. A second `up` starts nothing.

    Args:
        cwd: the working folder.
        report: called with a line of progress.

    Raises:
        Permanent: a server does not come up; the message holds the end of its log.
    """
    folder = StackFolder(cwd)
    with folder.locked():
        state = folder.read() or folder.write(StackState())
        dead = [service for service in Service if not _well(state, service)]
        # Where nothing ran, nobody knows of faults that were set in an earlier life.
        cleared = clear_faults(folder) if len(dead) == len(Service) else ()
        for service in dead:
            stop(state.processes.get(service))
        state = _with_ports(state, dead)
        if dead:
            state = _start_all(folder, state, dead, report)
        make_resources(state)
        kept = write_block(folder.cwd / FILE_NAME, STACK_BLOCK, stack_variables(state))
        remember(folder.cwd, config=_config_beside(folder.cwd))
        faults = tuple(service for service in FaultyService if faults_of(folder, service))
    return Started(state, tuple(dead), kept, faults, cleared)


def down(cwd: Path, *, delete_data: bool = False) -> tuple[Service, ...]:
    """Stop the servers, in reverse order, and clear their faults. Data stays unless `delete_data`.

    Then the stack's lines in `.env` and this folder's own Dagster home go too: what its runs tell of is gone.

    Returns:
        The servers that ran.
    """
    folder = StackFolder(cwd)
    if not folder.root.exists():
        return ()
    with folder.locked():
        state = folder.read()
        stopped = []
        for service in reversed(Service):
            if state is not None and stop(state.processes.get(service)):
                stopped.append(service)
                state = folder.write(state.with_process(service, None))
        clear_faults(folder)
        if delete_data:
            remove_block(folder.cwd / FILE_NAME, STACK_BLOCK)
            shutil.rmtree(folder.root)
            # The runs of this folder migrated what is gone now: `status` and Dagit would still call it migrated.
            shutil.rmtree(default_dagster_home(folder.cwd), ignore_errors=True)
    return tuple(stopped)


def restart(cwd: Path, service: Service) -> None:
    """Stop one server and start it on its port again, with what its command line has become. Requests in it break.

    Raises:
        Permanent: it does not come up.
    """
    folder = StackFolder(cwd)
    with folder.locked():
        state = require_state(cwd)
        stop(state.processes.get(service))
        _await(folder, _start(folder, state, service), service)


def faults_of(folder: StackFolder, service: FaultyService) -> tuple[str, ...]:
    """The kinds of fault that are set for a service; one that cannot be read is told as `unreadable`."""
    try:
        return tuple(rule.kind.value for rule in read_rules(rules_file(folder.data(Service(service.value)))))
    except Permanent:
        return ("unreadable",)


def clear_faults(folder: StackFolder) -> tuple[FaultyService, ...]:
    """Delete the fault rules of all services; those that had any. What runs is left alone."""
    cleared = tuple(service for service in FaultyService if faults_of(folder, service))
    for service in cleared:
        write_rules(rules_file(folder.data(Service(service.value))), ())
    return cleared


def status(cwd: Path) -> tuple[ServiceStatus, ...]:
    """Every server of the stack, whether it runs or not; empty where the stack was never started here."""
    folder = StackFolder(cwd)
    state = folder.read()
    if state is None:
        return ()
    found = []
    for service in Service:
        process = state.processes.get(service)
        running = alive(process)
        well = running and _answers(state, service)
        found.append(
            ServiceStatus(
                service=service,
                state="running" if well else "not answering" if running else "stopped",
                url=state.url(service) if service in state.ports else "",
                pid=process.pid if process and running else None,
                bytes=_size(folder.data(service)),
                log=folder.log(service),
                faults=faults_of(folder, FaultyService(service.value)) if service in _FAULTY else (),
            )
        )
    return tuple(found)


def require_state(cwd: Path) -> StackState:
    """The state of a stack that was started here at least once.

    Raises:
        Missing: it never was.
    """
    state = StackFolder(cwd).read()
    if state is None or len(state.ports) < len(Service):
        raise Missing("there is no embedded stack in this folder", where=str(cwd), next_step="ts-migration local up")
    return state


def _well(state: StackState, service: Service) -> bool:
    # Patient: a server under load answers late, and to take it for dead would be to kill it at work.
    return alive(state.processes.get(service)) and _answers(state, service, timeout_s=15.0)


def _answers(state: StackState, service: Service, timeout_s: float = 5.0) -> bool:
    server = SERVERS[service]
    return answers(state.url(service) + server.health, server.healthy, timeout_s)


def _with_ports(state: StackState, dead: list[Service]) -> StackState:
    """The same ports where nobody took them meanwhile, new ones otherwise."""
    for service in dead:
        if service not in state.ports or not port_is_free(state.ports[service]):
            state = state.with_port(service, free_port(tuple(state.ports.values())))
    return state


def _start_all(
    folder: StackFolder, state: StackState, dead: list[Service], report: Callable[[str], None]
) -> StackState:
    """Start servers side by side, then await each; one whose port was snatched is started again on another."""
    for service in dead:
        state = _start(folder, state, service)
    if Service.S3 in dead and Service.TIMESTREAM not in dead:
        # A Timestream server that runs was told the old address of S3.
        stop(state.processes.get(Service.TIMESTREAM))
        dead = [*dead, Service.TIMESTREAM]
        state = _start(folder, state, Service.TIMESTREAM)
    for service in dead:
        for attempt in range(_STARTS):
            try:
                _await(folder, state, service)
                break
            except PortTaken as error:
                if attempt == _STARTS - 1 or service is Service.S3:
                    raise Permanent(str(error), next_step="ts-migration local up") from error
                state = _start(folder, state.with_port(service, free_port(tuple(state.ports.values()))), service)
        report(f"{service.value:<10} {state.url(service)}")
    return state


def _start(folder: StackFolder, state: StackState, service: Service) -> StackState:
    server = SERVERS[service]
    folder.data(service).mkdir(parents=True, exist_ok=True)
    process = start(
        server.command(state, folder.data(service)),
        log=folder.log(service),
        cwd=folder.data(service),
        environment={**_plain_environment(), **server.variables(state)},
    )
    return folder.write(state.with_process(service, process))


def _await(folder: StackFolder, state: StackState, service: Service) -> None:
    server = SERVERS[service]
    process = state.processes[service]
    try:
        await_health(
            service.value, process, state.url(service) + server.health, server.healthy,
            log=folder.log(service), port=state.ports[service],
        )  # fmt: skip
    except Permanent:
        stop(process)
        raise


def _plain_environment() -> dict[str, str]:
    """The shell's environment without what would lead an embedded server elsewhere: real AWS settings and proxies."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("AWS_", "INFLUX", "RCLONE_", "MOTO_")) and not name.upper().endswith("_PROXY")
    }


def _config_beside(cwd: Path) -> Path | None:
    """The configuration that Dagit shall load from this folder, where there is one."""
    return next(
        (path for path in (cwd / "migration_config.yaml", cwd / "scripts" / "migration_config.yaml") if path.is_file()),
        None,
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0
