"""How the product's errors reach Dagster: Transient ones are retried with jitter, Permanent ones stop the run at once.

No other module catches a MigrationError to hand it to Dagster.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

from ts_migration.config import MigrationSettings
from ts_migration.disk_space import full_disk_behind
from ts_migration.errors import Inaccessible, MigrationError, Missing, NoSpace, Refused, Spoiled, Transient
from ts_migration.timestream.query import QueryTooLarge

LONGEST_DELAY_S = 900.0
FAILURE_KIND = "kind"
"""Metadata of a step's failure that tells what kind of error it was."""
PERMANENT = "permanent"
"""What was done is wrong. It is what an automatic rollback looks for."""
_NOT_BY_WHAT_WAS_DONE: tuple[tuple[type[MigrationError], str], ...] = (
    (Transient, "transient, retries exhausted"),
    (Refused, "refused"),
    (NoSpace, "no space"),
    (Inaccessible, "inaccessible"),
    (Missing, "missing"),
    (QueryTooLarge, "query too large"),
    (Spoiled, "files damaged"),
)
"""Kinds of errors after which everything is left as it is: a later call may do it, or make anew what was damaged."""


def retry_delay_s(attempt: int, settings: MigrationSettings, retry_after_s: float | None) -> float:
    """Seconds before the next try: full jitter over an exponential, never less than the service asked for."""
    ceiling = min(LONGEST_DELAY_S, settings.retry_delay_seconds * 2**attempt)
    return max(random.uniform(0, ceiling), retry_after_s or 0.0)  # noqa: S311 - jitter, not a secret


@contextmanager
def told_to_dagster(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, settings: MigrationSettings
) -> Iterator[None]:
    """Run a stage; a Transient error asks for a retry, any other MigrationError fails the step for good."""
    try:
        yield
    except Transient as error:
        attempt = context.op_execution_context.retry_number if hasattr(context, "op_execution_context") else 0
        delay = retry_delay_s(attempt, settings, error.retry_after_s)
        context.log.warning(f"{error} (try {attempt + 1} of {settings.max_retry_attempts + 1})")
        if error.exhausted or attempt >= settings.max_retry_attempts:
            raise failure_of(error) from None
        raise dg.RetryRequested(max_retries=settings.max_retry_attempts, seconds_to_wait=delay) from error
    except MigrationError as error:
        raise failure_of(error) from None
    except OSError as error:
        full = full_disk_behind(error)
        if full is None:
            raise
        raise failure_of(full) from error


def failure_of(error: MigrationError) -> dg.Failure:
    """A step failure that carries what happened, where and what to do, and is not retried."""
    kind = next((word for kind, word in _NOT_BY_WHAT_WAS_DONE if isinstance(error, kind)), PERMANENT)
    metadata = {
        "where": error.where,
        "allowed": error.allowed,
        "next_step": error.next_step,
        FAILURE_KIND: kind,
    }
    return dg.Failure(
        description=str(error),
        metadata={key: value for key, value in metadata.items() if value},
        allow_retries=False,
    )


def cause_of(error: SerializableErrorInfo) -> str:
    """What went wrong at first: Dagster wraps what the product did not expect, and its words tell the step alone."""
    while error.cause is not None:
        error = error.cause
    return error.message.strip()
