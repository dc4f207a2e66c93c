"""Waiting between retries, and the runs of the ledger."""

import random
import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ts_migration.errors import Permanent, Transient
from ts_migration.influxdb.connection import Answer
from ts_migration.influxdb.ledger import runs_of
from ts_migration.influxdb.retries import LONGEST_DELAY_S, LONGEST_RETRY_AFTER_S, RetryPolicy, retrying


@given(st.integers(0, 100), st.floats(0, 60), st.integers())
def test_a_delay_is_jittered_below_a_ceiling_that_doubles(retry: int, base: float, seed: int) -> None:
    delay = RetryPolicy(3, base).delay_s(retry, None, random.Random(seed))
    assert 0 <= delay <= min(LONGEST_DELAY_S, base * 2.0 ** min(retry, 30))


@given(st.integers(1, 10), st.floats(0.001, 60), st.integers())
def test_a_server_is_not_given_up_before_what_the_policy_waits_on_the_average(
    attempts: int, base: float, seed: int
) -> None:
    policy, chance = RetryPolicy(attempts, base), random.Random(seed)
    waited = 0.0
    for retry in range(attempts):
        waited += policy.delay_s(retry, None, chance, waited)

    assert waited >= policy.patience_s * (1 - 1e-9)
    assert policy.patience_s == sum(min(LONGEST_DELAY_S, base * 2.0**retry) for retry in range(attempts)) / 2


def test_the_servers_wish_is_a_lower_bound_up_to_five_minutes() -> None:
    chance = random.Random(1)
    assert RetryPolicy(3, 0.0).delay_s(0, 7.5, chance) == 7.5
    assert RetryPolicy(3, 0.0).delay_s(0, 86_400.0, chance) == LONGEST_RETRY_AFTER_S


def test_a_call_is_repeated_as_often_as_the_policy_says_and_permanent_errors_never() -> None:
    calls: list[int] = []

    def fail(error: Exception):
        calls.append(1)
        raise error

    with pytest.raises(Transient):
        retrying(lambda: fail(Transient("busy")), RetryPolicy(2, 0.0))
    assert len(calls) == 3
    with pytest.raises(Permanent):
        retrying(lambda: fail(Permanent("no")), RetryPolicy(2, 0.0))
    assert len(calls) == 4


def test_a_stop_ends_the_waiting() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Transient):
        retrying(lambda: (_ for _ in ()).throw(Transient("busy")), RetryPolicy(5, 60.0), stop=stop)


@given(st.sets(st.integers(0, 60)))
def test_runs_say_the_same_numbers_in_fewer_words(numbers: set[int]) -> None:
    runs = runs_of(numbers)
    assert {number for first, last in runs for number in range(first, last + 1)} == numbers
    assert all(one[1] + 1 < other[0] for one, other in pairwise(runs))


@pytest.mark.parametrize(
    "text", ["nonsense", "Wed, 21 Oct 99999999999999999 07:28:00 GMT", "Oct 99999999999999999999 1"]
)
def test_a_retry_after_that_nobody_can_read_asks_for_nothing(text: str) -> None:
    assert Answer(429, {"Retry-After": text}, b"").retry_after_s is None
