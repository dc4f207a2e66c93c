"""What every kind of action can do. The kinds are in a file each; the order of work is in `switch`."""

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from ts_migration.cutover.clients import CutoverClients
from ts_migration.cutover.record import Change
from ts_migration.cutover.undo import Undo
from ts_migration.cutover_actions import ActionOptions

AnAction = TypeVar("AnAction", bound=ActionOptions)
AnUndo = TypeVar("AnUndo", bound=Undo)


class Kind(ABC, Generic[AnAction, AnUndo]):
    """One kind of action. Apply and revert may be called again after a crash or a lost answer: they look first."""

    hides_before: ClassVar[bool] = False
    """Whether the record leaves former values out whatever their names: they may be secrets."""
    takes_back: ClassVar[bool] = True
    """Whether `revert` puts something back; False: it only tells somebody, and where it fails all is as before."""

    def __init__(self, clients: CutoverClients) -> None:
        self.clients = clients
        self.secrets = clients.secrets

    @abstractmethod
    def changes(self, action: AnAction) -> tuple[Change, ...]:
        """What would change, before and after, secrets masked. Reads only.

        Raises:
            MigrationError: the target is not there, or it could not be changed and put back.
        """

    @abstractmethod
    def keep(self, action: AnAction, mark: str) -> AnUndo:
        """What is there now, so that `revert` can put it back. Changes nothing that the target does.

        Args:
            action: with its public placeholders filled.
            mark: a text that no other action has, by which traces of this one are known.
        """

    @abstractmethod
    def apply(self, action: AnAction, undo: AnUndo) -> None:
        """Make the change, unless it is made."""

    @abstractmethod
    def revert(self, undo: AnUndo) -> None:
        """Put back exactly what was there, unless it is there."""

    def forget(self, undo: AnUndo) -> None:
        """Take away what `keep` had stored. Called once the record says reverted."""
        del undo
