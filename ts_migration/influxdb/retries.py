"""How long to wait before a request is sent again: full jitter, and what the server asks for. No requests here."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from ts_migration.errors import Transient

LONGEST_DELAY_S = 60.0
LONGEST_RETRY_AFTER_S = 300.0

Result = TypeVar("Result")


@dataclass(frozen=True)
class RetryPolicy:
    """Full jitter: a random time between nothing and base * 2^n, so that many clients do not come back together.

    Attributes:
        attempts: retries after the first try.
        base_s: seconds of the first ceiling.
        on_retry: told why, before each wait; from the thread that waits.
    """

    attempts: int = 3
    base_s: float = 2.0
    on_retry: Callable[[Transient], None] | None = field(default=None, compare=False)

    def delay_s(self, retry: int, retry_after_s: float | None, chance: random.Random) -> float:
        """Seconds before a retry (the first is 0). A Retry-After is a lower bound, up to five minutes."""
        ceiling = min(LONGEST_DELAY_S, self.base_s * 2.0 ** min(retry, 30))
        return max(chance.uniform(0.0, ceiling), min(retry_after_s or 0.0, LONGEST_RETRY_AFTER_S))


def retrying(
    call: Callable[[], Result],
    policy: RetryPolicy,
    *,
    chance: random.Random | None = None,
    stop: threading.Event | None = None,
    on_retry: Callable[[Transient], None] | None = None,
) -> Result:
    """Call until it does not raise Transient, at most `policy.attempts` times again. A set `stop` ends the waiting.

    Raises:
        Transient: the last one.
    """
    chance = chance or random.Random()  # noqa: S311 - jitter, not a secret
    pause = stop or threading.Event()
    for retry in range(policy.attempts + 1):
        try:
            return call()
        except Transient as error:
            if retry == policy.attempts or pause.is_set():
                error.exhausted = True
                raise
            for tell in filter(None, (on_retry, policy.on_retry)):
                tell(error)
            if pause.wait(policy.delay_s(retry, error.retry_after_s, chance)):
                raise
    raise AssertionError("unreachable")
