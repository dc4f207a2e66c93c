"""Which requests a rule hits follows from the rule, its seed and the request's number, and from nothing else."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ts_migration.local.faults.rules import FaultKind, FaultRule, FaultyService
from ts_migration.local.faults.schedule import Course, hits

RULE = FaultRule(FaultyService.INFLUXDB, FaultKind.RESET)
COUNT = 200

rules = st.builds(
    lambda times, extent, seed: replace(RULE, times=times, seed=seed, **extent),
    st.none() | st.integers(1, 50),
    st.builds(lambda every: {"every": every}, st.integers(1, 20))
    | st.builds(lambda share: {"share": share}, st.floats(0.01, 1.0)),
    st.integers(0, 2**31),
)


@given(rules)
def test_a_rule_hits_the_same_requests_every_time(rule):
    assert hits(rule, COUNT) == hits(replace(rule, id="another"), COUNT)


@given(rules)
def test_what_is_hit_does_not_depend_on_what_comes_after(rule):
    assert hits(rule, COUNT // 2) == [number for number in hits(rule, COUNT) if number <= COUNT // 2]


@given(rules)
def test_a_course_hits_what_the_schedule_says(rule):
    course = Course(rule)
    assert [number for number in range(1, COUNT + 1) if course.next()] == hits(rule, COUNT)
    assert (course.seen, course.hit) == (COUNT, len(hits(rule, COUNT)))


@given(rules)
def test_times_is_the_most_that_is_hit(rule):
    found = hits(rule, COUNT)
    assert found == hits(replace(rule, times=None), COUNT)[: rule.times]


def test_without_any_limit_every_request_is_hit():
    assert hits(RULE, 5) == [1, 2, 3, 4, 5]


def test_every_third_is_the_third_the_sixth_and_so_on():
    assert hits(replace(RULE, every=3, times=2), COUNT) == [3, 6]


def test_a_share_hits_about_as_many_and_another_seed_hits_others():
    first, second = (hits(replace(RULE, share=0.3, seed=seed), 2_000) for seed in (1, 2))
    assert all(500 < len(found) < 700 for found in (first, second))
    assert first != second


def test_two_rules_of_one_seed_do_not_hit_in_step():
    other = replace(RULE, kind=FaultKind.LOST_ANSWER, share=0.3)
    assert hits(other, COUNT) != hits(replace(RULE, share=0.3), COUNT)
