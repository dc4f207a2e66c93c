"""Errors that teach, and the exit codes of the commands.

Every error of the product is Transient (the same call may succeed later: retry) or Permanent (it never will: stop and
say what to change). Exceptions of one client library alone do not belong here.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command tells its caller. `validate` reads 1 as not proven and 2 as could not check."""

    OK = 0
    FAILED = 1
    COULD_NOT_START = 2
    STILL_RUNNING = 3
    """Of `monitor`: its time was over before the jobs were."""
    CANCELLED = 130


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: an interrupt by something that waits for the end and will not interrupt again."""


class MigrationError(Exception):
    """What happened, where, what is allowed and what to do next, as one readable message.

    Args:
        what: what happened, with the value found.
        where: job, window, file, line or URL; never a secret.
        allowed: what would have been accepted.
        next_step: the command or change that mends it.
    """

    def __init__(self, what: str, *, where: str = "", allowed: str = "", next_step: str = "") -> None:
        self.what = what
        self.where = where
        self.allowed = allowed
        self.next_step = next_step
        super().__init__(what, where, allowed, next_step)

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.allowed:
            parts.append(f"Allowed: {self.allowed}.")
        if self.next_step:
            parts.append(f"Next: {self.next_step}.")
        first = parts[0] if len(parts) == 1 or parts[0].endswith((".", "!", "?")) else f"{parts[0]}."
        return " ".join([first, *parts[1:]])


class Transient(MigrationError):
    """May pass: a throttled service, a broken connection, a server that restarts. Retried with jitter.

    `exhausted` is set by whoever has used up the configured retries: layers above must not multiply them.
    """

    def __init__(
        self, what: str, *, where: str = "", allowed: str = "", next_step: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(what, where=where, allowed=allowed, next_step=next_step)
        self.retry_after_s = retry_after_s
        self.exhausted = False


class Permanent(MigrationError):
    """Will not pass by itself: a wrong token, a missing table, a value that the target cannot hold."""


class Missing(Permanent):
    """A thing that was looked for by name is not there: an object, a table, a bucket, a manifest."""


class Spoiled(Permanent):
    """An object in the export bucket is not what was written: changed, cut or overwritten since."""


class Refused(Permanent):
    """The tool will not do this because something would be lost or changed in silence."""


class Inaccessible(Permanent):
    """A service does not let the tool in, or something else answers in its place: a token, a permission, an address, a
    certificate, a proxy. Nothing is wrong with what was done: the same command goes on once that is mended."""


class NoSpace(Permanent):
    """A disk of this machine is full. Nothing is wrong with what was done: the same command goes on once it is not."""


class ConfigurationError(Permanent):
    """Every mistake of a configuration in one message, a line each."""

    def __init__(self, problems: list[str], *, where: str = "") -> None:
        self.problems = tuple(problems)
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        super().__init__(
            f"{count} in the configuration\n" + "\n".join(f"  - {problem}" for problem in problems), where=where
        )
