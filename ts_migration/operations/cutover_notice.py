"""What is told of a cutover, by its record: values of secrets are masked in there already."""

from ts_migration.cutover.record import CutoverRecord
from ts_migration.operations.notices import Notice, cutover


def changes_of(record: CutoverRecord) -> list[str]:
    """Every change of a cutover, a line each."""
    return [
        f"{action.type} {action.target}: {change.name}: {change.before} -> {change.after}"
        for action in record.actions
        for change in action.changes
    ]


def notice_of(record: CutoverRecord) -> Notice:
    """That a cutover was applied, reverted, or is something in between, with its problem."""
    return cutover(record.state, record.proof, changes_of(record), record.problem)
