"""Streams that are read one step ahead: order, errors where they belong, and nothing left running."""

import threading
from collections.abc import Generator

import pytest

from ts_migration.line_protocol.read_ahead import one_ahead


def counted(steps: int, fail_at: int | None = None, closed: list[bool] | None = None) -> Generator[int, None, None]:
    try:
        for step in range(1, steps + 1):
            if step == fail_at:
                raise ValueError(f"step {step}")
            yield step
    finally:
        if closed is not None:
            closed.append(True)


def test_every_step_comes_once_and_in_order() -> None:
    assert list(one_ahead(counted(50), "test")) == list(range(1, 51))


def test_an_error_of_the_source_comes_after_the_steps_before_it() -> None:
    seen = []
    with pytest.raises(ValueError, match="step 3"):
        for step in one_ahead(counted(5, fail_at=3), "test"):
            seen.append(step)
    assert seen == [1, 2]


def test_the_next_step_is_made_while_the_consumer_works() -> None:
    made = threading.Event()

    def source() -> Generator[int, None, None]:
        yield 1
        made.set()
        yield 2

    steps = one_ahead(source(), "test")
    assert next(steps) == 1
    assert made.wait(10), "the consumer still holds the first step"
    assert list(steps) == [2]


def test_a_consumer_that_stops_early_closes_the_source_and_leaves_no_thread() -> None:
    closed: list[bool] = []
    steps = one_ahead(counted(5, closed=closed), "stops-early")
    next(steps)
    steps.close()
    assert closed == [True]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("stops-early")]
