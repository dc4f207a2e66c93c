"""`local faults`: rules set, listed and cleared on the stack of a folder, while its servers run.

Timestream and InfluxDB read their rules with the next request. S3 is rclone, which cannot misbehave: with its first
rule it is started again behind the forwarder, with its last one taken away it is started again alone.
"""

import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from ts_migration.errors import Permanent
from ts_migration.local.faults.middleware import EFFECTS_PATH
from ts_migration.local.faults.rules import FaultRule, FaultyService, read_rules, rules_file, write_rules
from ts_migration.local.processes import alive
from ts_migration.local.stack import require_state, restart
from ts_migration.local.state import Service, StackFolder, StackState

_ANSWER_S = 5.0


@dataclass(frozen=True, slots=True)
class SetFault:
    """A rule that is set, the requests that have matched it since, and those of them that it has hit.

    The numbers are None where the server does not tell: it does not run, or has not read the rule.
    """

    rule: FaultRule
    seen: int | None = None
    hit: int | None = None


def set_fault(cwd: Path, rule: FaultRule) -> tuple[FaultRule, ...]:
    """Add a rule; it replaces one of the same service, kind and pattern.

    Returns:
        All rules of the service.

    Raises:
        Missing: there is no stack in the folder.
        Permanent: the server does not run.
    """
    service = Service(rule.service.value)
    state = require_state(cwd)
    if not alive(state.processes.get(service)):
        raise Permanent(f"the embedded {service} does not run", where=str(cwd), next_step="ts-migration local up")
    path = _file(cwd, rule.service)
    rules = (*(known for known in read_rules(path) if not known.same_place(rule)), rule)
    write_rules(path, rules)
    if service is Service.S3 and _effects(state, service) is None:
        restart(cwd, service)
    return rules


def list_faults(cwd: Path) -> tuple[SetFault, ...]:
    """Every rule that is set, in the order in which they apply, with what it has done.

    Raises:
        Missing: there is no stack in the folder.
        Permanent: a file of rules is damaged.
    """
    state = require_state(cwd)
    found = []
    for service in FaultyService:
        rules = read_rules(_file(cwd, service))
        effects = (_effects(state, Service(service.value)) or {}) if rules else {}
        found += [SetFault(rule, *effects.get(rule.id, (None, None))) for rule in rules]
    return tuple(found)


def clear_faults(cwd: Path, service: FaultyService | None = None) -> tuple[FaultyService, ...]:
    """Take the rules of one service away, or all rules; the services that had any.

    Raises:
        Missing: there is no stack in the folder.
    """
    state = require_state(cwd)
    wanted = [service] if service else list(FaultyService)
    cleared = tuple(each for each in wanted if _file(cwd, each).exists())
    for each in cleared:
        write_rules(_file(cwd, each), ())
    if FaultyService.S3 in cleared and alive(state.processes.get(Service.S3)):
        restart(cwd, Service.S3)
    return cleared


def _file(cwd: Path, service: FaultyService) -> Path:
    return rules_file(StackFolder(cwd).data(Service(service.value)))


def _effects(state: StackState, service: Service) -> dict[str, tuple[int, int]] | None:
    """Rule id -> requests that matched and were hit, as the server tells; None where it does not know of faults."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(state.url(service) + EFFECTS_PATH, timeout=_ANSWER_S) as answer:
            return {each["id"]: (each["seen"], each["hit"]) for each in json.load(answer)}
    except (OSError, ValueError, KeyError, TypeError):
        return None
