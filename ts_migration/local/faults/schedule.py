"""Which of the requests a rule hits: a pure function of the rule, its seed and the request's number.

A failing run can be repeated with its seed. Requests are numbered from 1, those that match the rule's pattern alone.
"""

import hashlib
from dataclasses import dataclass

from ts_migration.local.faults.rules import FaultRule

_LANE = 1 << 64


def is_chosen(rule: FaultRule, number: int) -> bool:
    """Whether the rule chooses the request of a number, `times` apart."""
    if rule.share is None:
        return number % rule.every == 0
    text = f"{rule.seed}/{rule.service}/{rule.kind}/{rule.on}/{number}"
    drawn = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
    return drawn < rule.share * _LANE


def hits(rule: FaultRule, count: int) -> list[int]:
    """Numbers of the requests that the rule hits among the first `count`."""
    chosen = [number for number in range(1, count + 1) if is_chosen(rule, number)]
    return chosen if rule.times is None else chosen[: rule.times]


@dataclass(slots=True)
class Course:
    """A rule at work: how many requests have matched it, and how many of them it has hit."""

    rule: FaultRule
    seen: int = 0
    hit: int = 0

    def next(self) -> bool:
        """Count one more matching request; whether it is hit."""
        self.seen += 1
        if self.hit == self.rule.times or not is_chosen(self.rule, self.seen):
            return False
        self.hit += 1
        return True
