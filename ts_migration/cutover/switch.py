"""Applying and reverting a cutover, action by action, with a record that is written before and after each.

Only one may work at a time: callers hold a lock. What an action does is in its kind, and whether a cutover may begin is
the caller's to ask.
"""

import uuid

from ts_migration.config import MigrationConfig
from ts_migration.cutover.clients import CutoverClients
from ts_migration.cutover.journal import Journal
from ts_migration.cutover.kinds import kind_of
from ts_migration.cutover.plan import plan_cutover, retry_policy
from ts_migration.cutover.record import RECORD_KEY, CutoverRecord, cutover_record
from ts_migration.cutover.values import resolved_actions
from ts_migration.cutover_settings import Action
from ts_migration.errors import Missing, Permanent, Refused
from ts_migration.influxdb.retries import RetryPolicy, retrying
from ts_migration.manifests import fingerprint, now_text
from ts_migration.objects import ExportBucket


def apply_cutover(
    config: MigrationConfig, clients: CutoverClients, bucket: ExportBucket, proof: str, who: str
) -> CutoverRecord:
    """Do every action in its order; where one fails, revert those done, in reverse order.

    Where the record says applied, nothing is done: applications are switched once, whatever is proven later. An
    interrupted cutover of the same proof and actions goes on; any other unfinished one is reverted first.

    Returns:
        The record: `applied`; or `reverted` with `problem`, where an action failed and all is as before; or `failed`,
        where some reverses failed too.

    Raises:
        Refused: a cutover with other actions is applied, or there are no actions.
        MigrationError: it could not begin; nothing was changed.
    """
    actions = resolved_actions(config, clients.environment, proof)
    settings = cutover_settings_of(config, clients)
    record = cutover_record(bucket)
    if record is not None and record.state == "applied":
        if record.settings != settings:
            raise Refused(
                "another cutover is applied: the actions, or what they are filled with, were changed since",
                where=bucket.uri(RECORD_KEY),
                next_step="ts-migration cutover --revert, then --apply",
            )
        return record
    if record is not None and record.unfinished:
        if record.goes_on_as(proof, settings):
            return _apply(Journal(bucket, record), actions, clients, retry_policy(config))
        record = _revert(Journal(bucket, record), clients, retry_policy(config), who, record.problem)
        if record.state != "reverted":
            return record
    begun = _begin(config, clients, actions, CutoverRecord.begun(_new_id(), proof, who, settings, actions))
    return _apply(Journal.after(bucket, record, begun), actions, clients, retry_policy(config))


def revert_cutover(config: MigrationConfig, clients: CutoverClients, bucket: ExportBucket, who: str) -> CutoverRecord:
    """Put back what was there before, in reverse order, by the record alone: the actions may have changed since.

    Returns:
        The record: `reverted`, or `failed` with the reverses that failed. One that is reverted is left as it is.

    Raises:
        Missing: there was no cutover.
        MigrationError: the record cannot be read.
    """
    record = cutover_record(bucket)
    if record is None:
        raise Missing("there was no cutover: nothing to revert", where=f"s3://{bucket.name}")
    if record.state == "reverted":
        return record
    return _revert(Journal(bucket, record), clients, retry_policy(config), who, record.problem)


def cutover_settings_of(config: MigrationConfig, clients: CutoverClients) -> str:
    """Fingerprint of the actions and of what they are filled with: no secret and no proof is in it."""
    actions = resolved_actions(config, clients.environment, None)
    return fingerprint([action.model_dump(mode="json", exclude={"job"}) for action in actions])


def _new_id() -> str:
    return f"{now_text().replace(':', '').replace('-', '')}-{uuid.uuid4().hex[:8]}"


def _begin(
    config: MigrationConfig, clients: CutoverClients, actions: tuple[Action, ...], record: CutoverRecord
) -> CutoverRecord:
    """The record, once every action was looked at: what stands in the way is told before anything is changed.

    Raises:
        Refused: there are no actions.
        Permanent: some cannot be done; a line each.
    """
    if not actions:
        raise Refused("there is nothing to do: no actions", where="cutover", next_step="list some in cutover.actions")
    problems = [
        f"  - action {number} ({action.type} {action.target}): {action.problem}"
        for number, action in enumerate(plan_cutover(config, clients).actions, 1)
        if action.problem
    ]
    if problems:
        raise Permanent("nothing was changed, for some actions cannot be done\n" + "\n".join(problems), where="cutover")
    return record


def _apply(
    journal: Journal, actions: tuple[Action, ...], clients: CutoverClients, policy: RetryPolicy
) -> CutoverRecord:
    """Do the actions that are not done."""
    for index, action in enumerate(actions):
        if journal.record.actions[index].state == "applied":
            continue
        try:
            _apply_one(journal, index, action, clients, policy)
        except Exception as error:  # noqa: BLE001 - whatever it is, what was done must not stay half done
            told = clients.secrets.told(error)
            problem = f"action {index + 1} ({action.type} {action.target}) failed: {told}"
            journal.note(index, problem=told)
            return _revert(journal, clients, policy, journal.record.who, problem)
    try:
        return journal.write(state="applied")
    except Exception as error:  # noqa: BLE001 - see above
        problem = f"the record could not be written: {clients.secrets.told(error)}"
        return _revert(journal, clients, policy, journal.record.who, problem)


def _apply_one(journal: Journal, index: int, action: Action, clients: CutoverClients, policy: RetryPolicy) -> None:
    """One action between two writes of the record. Where it was begun before, what was there before is known."""
    kind = kind_of(action.type, clients)
    known = journal.record.actions[index].undo
    if known is None:
        changes = retrying(lambda: kind.changes(action), policy)
        if kind.hides_before:
            changes = tuple(change.without_before() for change in changes)
        known = retrying(lambda: kind.keep(action, journal.record.mark(index)), policy)
        journal.write_action(index, undo=known, changes=changes)
    undo = known
    retrying(lambda: kind.apply(action, undo), policy)
    journal.write_action(index, state="applied")


def _revert(journal: Journal, clients: CutoverClients, policy: RetryPolicy, who: str, problem: str) -> CutoverRecord:
    """Put back every action that was begun and is not reverted, the last one first; go on where one fails.

    Where a reverse only tells somebody and fails, it is named and nothing is left to be put back: a wrong address must
    not keep a cutover half reverted for good.

    Args:
        problem: why it is reverted, with the reverses that failed before.

    Raises:
        MigrationError: at the end, where the record could not be written.
    """
    cause = problem.removesuffix(_failed_reverses(journal.record)).removesuffix("; ")
    journal.try_write(state="reverting", problem=cause, reverted_by=who)
    for index in reversed(range(len(journal.record.actions))):
        done = journal.record.actions[index]
        if done.undo is None or done.state == "reverted":
            continue
        kind, undo = kind_of(done.undo.type, clients), done.undo
        try:
            retrying(lambda kind=kind, undo=undo: kind.revert(undo), policy)  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001 - the others must be put back all the same
            told = f"{_REVERSE_FAILED}{clients.secrets.told(error)}"
            journal.note(index, state="failed" if kind.takes_back else "reverted", problem=told)
        else:
            journal.note(index, state="reverted", problem="" if done.state == "failed" else done.problem)
        journal.try_write()
    failed = any(one.state == "failed" for one in journal.record.actions)
    whole = "; ".join(filter(None, (cause, _failed_reverses(journal.record))))
    record = journal.write(state="failed" if failed else "reverted", problem=whole)
    return record if failed else _forget(journal, clients, policy)


_REVERSE_FAILED = "its reverse failed: "


def _failed_reverses(record: CutoverRecord) -> str:
    return "; ".join(
        f"action {number} ({one.type} {one.target}): {one.problem}"
        for number, one in enumerate(record.actions, 1)
        if one.problem.startswith(_REVERSE_FAILED)
    )


def _forget(journal: Journal, clients: CutoverClients, policy: RetryPolicy) -> CutoverRecord:
    """Take away what was stored for the reverse; what cannot be taken away is told and does no harm."""
    left = []
    for one in journal.record.actions:
        if one.undo is not None:
            try:
                retrying(lambda one=one: kind_of(one.undo.type, clients).forget(one.undo), policy)  # type: ignore[misc]
            except Exception as error:  # noqa: BLE001 - all is as before
                left.append(f"{one.type} {one.target}: a trace of the cutover stays: {clients.secrets.told(error)}")
    if not left:
        return journal.record
    return journal.write(problem="; ".join(filter(None, (journal.record.problem, *left))))
