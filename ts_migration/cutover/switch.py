"""Applying and reverting a cutover, action by action, with a record that is written before and after each."""

from ts_migration.config import MigrationConfig
from ts_migration.cutover.clients import CutoverClients
from ts_migration.cutover.record import CutoverRecord
from ts_migration.objects import ExportBucket


def apply_cutover(
    config: MigrationConfig, clients: CutoverClients, bucket: ExportBucket, proof: str, who: str
) -> CutoverRecord:
    """Do every action in its order; where one fails, revert those done, in reverse order.

    Where the record says applied, nothing is done. An interrupted cutover of the same proof and actions goes on; any
    other unfinished one is reverted first. Readiness and approval are the caller's to ask.

    Returns:
        The record: `applied`; or `reverted` with `problem`, where an action failed and all is as before; or `failed`,
        where some reverses failed too.

    Raises:
        Refused: a cutover with other actions is applied.
        MigrationError: it could not begin; nothing was changed.
    """
    raise NotImplementedError


def revert_cutover(config: MigrationConfig, clients: CutoverClients, bucket: ExportBucket, who: str) -> CutoverRecord:
    """Put back what was there before, in reverse order, by the record alone: the actions may have changed since.

    Returns:
        The record: `reverted`, or `failed` with the reverses that failed.

    Raises:
        Missing: there was no cutover.
    """
    raise NotImplementedError
