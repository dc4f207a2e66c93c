"""One query: every page is followed, transient failures pass, permanent ones teach, and values keep their last digit."""

import json
from typing import Any

import polars as pl
import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError

from ts_migration.errors import Inaccessible, Missing, Permanent, Transient
from ts_migration.timestream.query import (
    MAX_QUERY_CHARS,
    PagesGone,
    QueryTooLarge,
    Retries,
    TimestreamQuery,
    timestamp_ns,
    typed_value,
)
from ts_migration_tests.shared_material import shared
from ts_migration_tests.timestream.scripted import ScriptedClient, aws, page

THROTTLED = aws("ThrottlingException", "Rate exceeded")


def query(*answers: Any, attempts: int = 3) -> tuple[TimestreamQuery, ScriptedClient, list[float]]:
    client, pauses = ScriptedClient(*answers), []
    return TimestreamQuery(client, Retries(attempts, 2.0), sleep=pauses.append), client, pauses  # type: ignore[arg-type]


def test_pages_are_followed_until_there_is_no_token_empty_ones_included() -> None:
    one, client, _ = query(
        page({"n": "BIGINT"}, token="a"),
        page({"n": "BIGINT"}, ["1"], ["2"], token="b"),
        page({"n": "BIGINT"}, token="c"),
        page({"n": "BIGINT"}, ["3"]),
    )
    assert [row["n"] for row in one.rows("SELECT n")] == [1, 2, 3]
    assert [request.get("NextToken") for request in client.asked] == [None, "a", "b", "c"]
    assert {request["QueryString"] for request in client.asked} == {"SELECT n"}
    assert client.cancelled == []


def test_a_lost_first_answer_is_asked_again_under_the_same_client_token() -> None:
    lost = EndpointConnectionError(endpoint_url="http://x")
    one, client, pauses = query(lost, THROTTLED, page({"n": "BIGINT"}, ["1"]))
    assert one.scalar("SELECT 1") == 1
    tokens = {request["ClientToken"] for request in client.asked}
    assert len(tokens) == 1 and 32 <= len(tokens.pop()) <= 128
    assert len(pauses) == 2 and 0 <= pauses[0] <= 2 and 0 <= pauses[1] <= 4


def test_a_token_that_is_used_up_ends_the_answer_and_the_query_may_be_asked_anew() -> None:
    """A token is good for five calls: answers that are lost as often end in a refusal that says nothing of the query."""
    used_up = aws("ValidationException", "Invalid pagination token.")
    one, client, _ = query(page({"n": "BIGINT"}, ["1"], token="a"), THROTTLED, used_up)
    with pytest.raises(PagesGone, match="Invalid pagination token") as gone:
        list(one.rows("SELECT n"))
    assert not gone.value.exhausted
    assert len(client.asked) == 3
    assert client.cancelled == ["Q1"]


def test_a_query_that_needs_too_much_says_so_on_a_later_page_too() -> None:
    one, _, _ = query(page({"n": "BIGINT"}, token="a"), aws("ValidationException", "Query timed out"))
    with pytest.raises(QueryTooLarge):
        list(one.rows("SELECT n"))


def test_two_queries_have_two_client_tokens() -> None:
    one, client, _ = query(page({"n": "BIGINT"}, ["1"]), page({"n": "BIGINT"}, ["1"]))
    one.scalar("SELECT 1"), one.scalar("SELECT 1")
    assert client.asked[0]["ClientToken"] != client.asked[1]["ClientToken"]


@pytest.mark.parametrize("cut", [{}, {"message": '{"QueryId": "Q'}, KeyError("Endpoints")])
def test_an_answer_that_was_cut_off_is_asked_for_again(cut: Any) -> None:
    # botocore does not compare the length of an answer, and reads half a JSON as one without members.
    one, client, pauses = query(cut, page({"n": "BIGINT"}, ["1"]))
    assert one.scalar("SELECT 1") == 1
    assert len(client.asked) == 2 and len(pauses) == 1


def test_answers_that_are_cut_off_every_time_are_transient_and_say_so() -> None:
    one, client, _ = query(*[{"message": "{"}] * 4)
    with pytest.raises(Transient, match="incomplete: it has no QueryId, ColumnInfo, Rows") as failed:
        one.scalar("SELECT 1")
    assert failed.value.exhausted
    assert len(client.asked) == 4


def test_the_wait_that_the_service_asks_for_is_kept() -> None:
    busy = aws("ThrottlingException", "Rate exceeded")
    busy.response["ResponseMetadata"] = {"HTTPHeaders": {"retry-after": "7"}}  # type: ignore[typeddict-item]
    one, _, pauses = query(busy, page({"n": "BIGINT"}, ["1"]))
    assert one.scalar("SELECT 1") == 1
    assert pauses == [7.0]


def test_throttling_that_does_not_end_is_transient_after_the_attempts() -> None:
    one, client, pauses = query(*[THROTTLED] * 4)
    with pytest.raises(Transient, match=r"Rate exceeded.* Next: .*--parallel-jobs"):
        one.scalar("SELECT 1")
    assert (len(client.asked), len(pauses)) == (4, 3)


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("ValidationException", "line 1:8: Column 'x' does not exist", Permanent),
        ("ValidationException", "The table db.t does not exist", Missing),
        ("QueryExecutionException", "Table 'db.t' does not exist", Missing),
        ("ValidationException", "Database 'db' not found", Missing),
        ("QueryExecutionException", "The query computation exceeds maximum available memory", QueryTooLarge),
        ("QueryExecutionException", "Query timed out", QueryTooLarge),
        ("QueryExecutionException", "Division by zero", Permanent),
        ("AccessDeniedException", "not authorized to perform timestream:Select", Inaccessible),
        ("ConflictException", "Unable to poll results for a cancelled query", Permanent),
    ],
)
def test_an_error_that_will_not_pass_is_not_asked_again(code: str, message: str, kind: type[Permanent]) -> None:
    one, client, _ = query(aws(code, message))
    with pytest.raises(Permanent) as error:
        one.scalar("SELECT x")
    assert type(error.value) is kind
    assert message in str(error.value)
    assert len(client.asked) == 1


def test_no_credentials_are_said_with_the_way_out() -> None:
    with pytest.raises(Permanent, match=r"no AWS credentials.*AWS_PROFILE"):
        query(NoCredentialsError())[0].scalar("SELECT 1")


def test_a_query_left_before_its_end_is_cancelled() -> None:
    one, client, _ = query(page({"n": "BIGINT"}, ["1"], token="a", query_id="LEFT"))
    rows = one.rows("SELECT n")
    next(rows)
    rows.close()
    assert client.cancelled == ["LEFT"]


def test_a_query_that_is_too_long_is_not_sent() -> None:
    one, client, _ = query()
    with pytest.raises(Permanent, match="at most 262,144"):
        one.scalar("x" * (MAX_QUERY_CHARS + 1))
    assert client.asked == []


def test_a_scalar_is_one_value_or_an_error() -> None:
    with pytest.raises(Permanent, match="2 rows"):
        query(page({"n": "BIGINT"}, ["1"], ["2"]))[0].scalar("SELECT n")
    with pytest.raises(Permanent, match="whole number"):
        query(page({"n": "BIGINT"}, [None]))[0].integer("SELECT n")


def test_values_keep_their_type_and_their_last_digit() -> None:
    columns = {"i": "BIGINT", "f": "DOUBLE", "b": "BOOLEAN", "s": "VARCHAR", "t": "TIMESTAMP"}
    values = ["9223372036854775807", "1.6554878837710001E9", "true", "", "2022-06-17 08:04:05.123456789"]
    one, _, _ = query(page(columns, values, [None] * 5), page(columns, values, [None] * 5))
    assert list(one.rows("SELECT *")) == [
        {"i": 2**63 - 1, "f": 1655487883.7710001, "b": True, "s": "", "t": 1655453045123456789},
        dict.fromkeys(columns),
    ]
    frame = one.frame("SELECT *")
    assert frame.schema == {"i": pl.Int64, "f": pl.Float64, "b": pl.Boolean, "s": pl.String, "t": pl.Int64}
    assert frame["t"].to_list() == [1655453045123456789, None]


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01 00:00:00.000000000", 0),
        ("1677-09-21 00:12:43.145224193", -(2**63) + 1),
        ("2262-04-11 23:47:16.854775807", 2**63 - 1),
        ("1969-12-31 23:59:59.999999999", -1),
        ("2022-06-17 08:04:05", 1655453045 * 10**9),
    ],
)
def test_times_are_exact_over_the_whole_range(text: str, ns: int) -> None:
    assert timestamp_ns(text) == ns


def test_the_recorded_answer_of_show_measures_is_read_with_its_rows_in_arrays() -> None:
    answer = json.loads(shared("data/timestream_query_api/show-measures.json").read_text())
    one, _, _ = query({key: value for key, value in answer.items() if value is not None})
    rows = list(one.rows("SHOW MEASURES"))
    assert rows[0]["measure_name"] == "cpu_hi"
    assert rows[0]["dimensions"][0] == {"dimension_name": "availability_zone", "data_type": "varchar"}


def test_a_shape_that_no_query_asks_for_is_refused() -> None:
    with pytest.raises(Permanent, match="unexpected shape"):
        typed_value({"TimeSeriesValue": []}, {"TimeSeriesMeasureValueColumnInfo": {}})


def test_a_pause_is_full_jitter_and_honours_the_server() -> None:
    retries = Retries(9, 2.0)
    assert retries.pause(1, Transient("x"), draw=lambda: 1.0) == 2.0
    assert retries.pause(3, Transient("x"), draw=lambda: 0.5) == 4.0
    assert retries.pause(9, Transient("x"), draw=lambda: 1.0) == 60.0
    assert retries.pause(1, Transient("x", retry_after_s=7.0)) == 7.0
