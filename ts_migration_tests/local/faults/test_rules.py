"""Rules are sound or refused with every mistake in one message; their file gives back what was written."""

import pytest

from ts_migration.errors import ConfigurationError, Permanent
from ts_migration.local.faults.active import ActiveFaults
from ts_migration.local.faults.rules import REQUEST_KINDS, FaultKind, FaultRule, FaultyService, read_rules, write_rules

SLOW = FaultRule(FaultyService.S3, FaultKind.SLOW, "GET *", share=0.25, delay_s=0.5, seed=9)
THROTTLE = FaultRule(FaultyService.S3, FaultKind.THROTTLE, times=2, every=3, retry_after_s=1.5)


@pytest.mark.parametrize(
    ("service", "kind", "options", "told"),
    [
        ("s3", "unload-no-manifest", {}, "s3 knows no unload-no-manifest; allowed: throttle, error"),
        ("influxdb", "query-timed-out", {}, "influxdb knows no query-timed-out"),
        ("s3", "reset", {"times": 0}, "times = 0"),
        ("s3", "reset", {"every": 0}, "every = 0"),
        ("s3", "reset", {"share": 1.5}, "share = 1.5"),
        ("s3", "reset", {"share": 0.5, "every": 2}, "one of the two decides"),
        ("s3", "reset", {"retry_after_s": 1.0}, "reset has no retry_after; allowed: throttle, unavailable"),
        ("s3", "reset", {"delay_s": 1.0}, "reset has no delay; allowed: slow"),
        ("s3", "slow", {"delay_s": float("nan")}, "delay = nan"),
        ("s3", "throttle", {"retry_after_s": -1.0}, "retry_after = -1.0"),
    ],
)
def test_a_rule_that_does_not_fit_together_is_refused(service, kind, options, told):
    with pytest.raises(ConfigurationError) as refused:
        FaultRule(FaultyService(service), FaultKind(kind), **options)
    assert told in str(refused.value)


def test_all_mistakes_are_told_at_once():
    with pytest.raises(ConfigurationError, match="3 mistakes"):
        FaultRule(FaultyService.S3, FaultKind.RESET, times=0, every=0, delay_s=1.0)


def test_a_file_gives_back_the_rules_that_were_written(tmp_path):
    path = tmp_path / "faults" / "s3.json"
    write_rules(path, [SLOW, THROTTLE])
    assert read_rules(path) == (SLOW, THROTTLE)


def test_without_a_rule_there_is_no_file(tmp_path):
    path = tmp_path / "s3.json"
    write_rules(path, [SLOW])
    write_rules(path, [])
    assert not path.exists()
    assert read_rules(path) == ()


@pytest.mark.parametrize("text", ["", "[]", '{"rules": [{}]}', '{"rules": [{"service": "s3", "kind": "none"}]}'])
def test_a_damaged_file_is_told_with_the_way_out(tmp_path, text):
    (tmp_path / "s3.json").write_text(text)
    with pytest.raises(Permanent, match="ts-migration local faults clear"):
        read_rules(tmp_path / "s3.json")


def test_a_server_reads_its_rules_again_when_they_change_and_counts_on_where_one_stays(tmp_path):
    path = tmp_path / "s3.json"
    faults = ActiveFaults(path)
    assert not faults
    write_rules(path, [THROTTLE])
    assert [faults.hit("GET /", REQUEST_KINDS) for _ in range(2)] == [None, None]
    write_rules(path, [SLOW, THROTTLE])
    assert faults.hit("PUT /", REQUEST_KINDS) == THROTTLE, "the third request"
    path.unlink()
    assert not faults


def test_of_two_rules_that_hit_one_request_the_one_set_first_counts(tmp_path):
    path, first = tmp_path / "s3.json", FaultRule(FaultyService.S3, FaultKind.RESET, times=1)
    second = FaultRule(FaultyService.S3, FaultKind.ERROR)
    write_rules(path, [first, second])
    faults = ActiveFaults(path)
    assert [faults.hit("GET /", REQUEST_KINDS) for _ in range(2)] == [first, second]


def test_a_server_with_a_damaged_file_serves_without_faults(tmp_path):
    path = tmp_path / "s3.json"
    path.write_text("{")
    assert not ActiveFaults(path)
