"""What a cutover would change: read, compared, nothing written."""

from dataclasses import dataclass

from ts_migration.config import MigrationConfig
from ts_migration.cutover.clients import CutoverClients
from ts_migration.cutover.record import Change


@dataclass(frozen=True, slots=True)
class PlannedAction:
    """One action; `problem` says why it cannot be done as things are."""

    type: str
    target: str
    changes: tuple[Change, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class CutoverPlan:
    """The actions in their order."""

    actions: tuple[PlannedAction, ...]

    @property
    def possible(self) -> bool:
        """Whether nothing stands in the way."""
        return not any(action.problem for action in self.actions)


def plan_cutover(config: MigrationConfig, clients: CutoverClients) -> CutoverPlan:
    """Look at what each action would change.

    Raises:
        MigrationError: the configuration's placeholders cannot be filled.
    """
    raise NotImplementedError
