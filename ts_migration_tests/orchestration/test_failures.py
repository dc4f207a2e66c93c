"""Which errors of a stage an automatic rollback takes for its cue: only those of what was done."""

import pytest
from botocore.exceptions import ClientError
from pydantic import SecretStr

from ts_migration.errors import MigrationError, Missing, NoSpace, Permanent, Refused, Spoiled, Transient
from ts_migration.influxdb.connection import Answer, Target
from ts_migration.objects import aws_error
from ts_migration.orchestration.failures import FAILURE_KIND, PERMANENT, failure_of
from ts_migration.timestream.query import QueryTooLarge

LATER: tuple[type[MigrationError], ...] = (Missing, NoSpace, QueryTooLarge, Refused, Spoiled, Transient)


def is_cue(error: MigrationError) -> bool:
    return failure_of(error).metadata[FAILURE_KIND].value == PERMANENT


@pytest.mark.parametrize("status", [200, 202, 302, 401, 403, 404, 405, 407, 413, 429, 451, 500, 501, 503])
def test_an_answer_that_keeps_the_tool_out_rolls_nothing_back(status: int) -> None:
    target = Target("http://127.0.0.1:1", "ons", SecretStr("t"))

    assert not is_cue(target.error(Answer(status, {}, b"<html>blocked</html>"), "the write was refused"))


@pytest.mark.parametrize("code", ["ExpiredToken", "AccessDenied", "InvalidClientTokenId", "NoSuchBucket", "SlowDown"])
def test_credentials_that_ran_out_roll_nothing_back(code: str) -> None:
    assert not is_cue(aws_error(ClientError({"Error": {"Code": code}}, "GetObject"), "s3://bucket"))


def test_a_mapping_that_the_server_refuses_is_a_cue_and_what_a_later_call_may_do_is_none() -> None:
    assert is_cue(Permanent("the server refuses more than 100 lines of one request"))
    assert not any(map(is_cue, (kind("x") for kind in LATER)))
