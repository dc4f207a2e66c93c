"""How long `execute` holds new windows back for the sake of `allowed_hours`. Told once each time that they close."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from ts_migration.allowed_hours import AllowedHours


class OpenHours:
    """`allowed_hours` against the clock. `on_hold` is told the Unix time at which they open."""

    def __init__(self, allowed: str | None, on_hold: Callable[[float], None]) -> None:
        self._allowed = AllowedHours.parse(allowed) if allowed else None
        self._on_hold = on_hold
        self.held_until: float | None = None

    def hold_s(self) -> float:
        """Seconds that a window is to be held back now. Called under one lock."""
        if self._allowed is None:
            return 0.0
        hold_s = self._allowed.opens_in(datetime.now(UTC)).total_seconds()
        if not hold_s:
            self.held_until = None
        elif self.held_until is None:
            self.held_until = time.time() + hold_s
            self._on_hold(self.held_until)
        return hold_s
