"""What a cutover would change: read, compared, nothing written."""

from dataclasses import dataclass

from ts_migration.config import MigrationConfig
from ts_migration.cutover.clients import CutoverClients
from ts_migration.cutover.kinds import kind_of
from ts_migration.cutover.record import Change
from ts_migration.cutover.values import resolved_actions
from ts_migration.cutover_settings import Action
from ts_migration.errors import MigrationError
from ts_migration.influxdb.retries import RetryPolicy, retrying


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
    """Look at what each action would change. Reads only.

    Raises:
        ConfigurationError: a placeholder stands for something that is not set.
    """
    # The proof is known once the cutover begins: its placeholder is shown as it is.
    actions = resolved_actions(config, clients.environment, None)
    return CutoverPlan(tuple(_planned(action, config, clients) for action in actions))


def _planned(action: Action, config: MigrationConfig, clients: CutoverClients) -> PlannedAction:
    try:
        changes = retrying(lambda: kind_of(action.type, clients).changes(action), retry_policy(config))
    except MigrationError as error:
        return PlannedAction(action.type, action.target, (), clients.secrets.told(error))
    return PlannedAction(action.type, action.target, changes)


def retry_policy(config: MigrationConfig) -> RetryPolicy:
    """How often and how soon what may pass is tried again."""
    settings = config.migration_settings
    return RetryPolicy(settings.max_retry_attempts, settings.retry_delay_seconds)
