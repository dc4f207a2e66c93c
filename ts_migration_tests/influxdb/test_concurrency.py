"""The level of requests in flight: it climbs while that pays, steps back, and halves once for one overload."""

import threading

from ts_migration.influxdb.concurrency import MOST, START, Level


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def driven(level: Level, clock: Clock, rate_of: dict[int, float], epochs: int) -> list[int]:
    """Limits after each epoch of a server that brings `rate_of[limit]` lines a second (the last one for more)."""
    seen = []
    for _ in range(epochs):
        rate = rate_of.get(level.limit, rate_of[max(rate_of)])
        bodies = 3 * level.limit
        for _ in range(bodies):
            clock.now += 0.6 / bodies
            level.delivered(int(rate * 0.6 / bodies))
        seen.append(level.limit)
    return seen


def test_it_begins_at_two() -> None:
    assert Level().limit == START == 2


def test_it_climbs_while_throughput_grows_and_stays_where_it_no_longer_does() -> None:
    clock = Clock()
    level = Level(clock=clock)
    seen = driven(level, clock, {1: 100_000, 2: 200_000, 3: 300_000, 4: 400_000, 5: 400_000}, 12)
    assert seen[:4] == [3, 4, 5, 4]
    assert set(seen[3:]) == {4}


def test_a_level_that_was_taken_back_is_tried_again_later() -> None:
    clock = Clock()
    level = Level(clock=clock)
    driven(level, clock, {2: 200_000, 3: 200_000}, 4)
    assert level.limit == 2
    seen = driven(level, clock, {2: 200_000, 3: 300_000, 4: 300_000}, 20)
    assert 3 in seen


def test_it_never_climbs_above_its_most() -> None:
    clock = Clock()
    level = Level(clock=clock)
    driven(level, clock, {limit: limit * 100_000.0 for limit in range(1, 64)}, 60)
    assert level.highest == MOST


def test_an_overload_halves_it_once_for_all_requests_that_were_in_flight_together() -> None:
    clock = Clock()
    level = Level(clock=clock)
    driven(level, clock, {limit: limit * 100_000.0 for limit in range(1, 9)}, 6)
    before = level.limit
    sent_at = clock.now
    clock.now += 1
    for _ in range(5):
        level.overloaded(sent_at)
    assert level.limit == before // 2
    clock.now += 1
    level.overloaded(clock.now)
    assert level.limit == before // 4


def test_an_overload_never_leaves_no_place_and_the_level_climbs_again() -> None:
    clock = Clock()
    level = Level(clock=clock)
    for _ in range(5):
        clock.now += 1
        level.overloaded(clock.now)
    assert level.limit == 1
    seen = driven(level, clock, {1: 100_000, 2: 200_000, 3: 200_000}, 40)
    assert seen[:10] == [1] * 10, "it is held first"
    assert set(seen[15:]) == {2, 3}
    assert seen.count(2) > 5 * seen.count(3)


def test_a_fixed_level_stays_whatever_happens() -> None:
    clock = Clock()
    level = Level(7, clock)
    driven(level, clock, {7: 1_000.0}, 5)
    level.overloaded(clock.now + 1)
    assert (level.limit, level.highest, level.most) == (7, 7, 7)


def test_threads_wait_for_a_place() -> None:
    level = Level(2)
    inside, most, lock = 0, 0, threading.Lock()
    gate = threading.Barrier(2, timeout=5)

    def work() -> None:
        nonlocal inside, most
        with level:
            with lock:
                inside += 1
                most = max(most, inside)
            gate.wait()
            with lock:
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert most == 2
