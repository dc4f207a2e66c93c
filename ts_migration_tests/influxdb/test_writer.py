"""Every row of the table of answers (DESIGN 4.6), against a server that gives just that answer."""

import gzip
import threading
import time

import pytest

from ts_migration.errors import Missing, Permanent, Transient
from ts_migration.influxdb.bodies import Body, Delivered
from ts_migration.influxdb.delivery import MOST_REFUSED_LINES
from ts_migration.influxdb.lines import named_lines, split_lines
from ts_migration.influxdb.retries import RetryPolicy
from ts_migration.influxdb.write_requests import WriteRequests
from ts_migration.influxdb.writer import Writer
from ts_migration_tests.influxdb.scripted import TOKEN, Reply, Request, Scripted, scripted

QUICK = RetryPolicy(attempts=3, base_s=0.001)


def body_of(*lines: str, number: int = 0) -> Body:
    return Body(number, gzip.compress("\n".join(lines).encode() + b"\n"), len(lines))


def write(server: Scripted, *bodies: Body, policy: RetryPolicy = QUICK, connections: int = 2) -> list[Delivered]:
    delivered: list[Delivered] = []
    Writer(WriteRequests(server.target, "b", connections, policy)).write(iter(bodies), delivered.append)
    return delivered


def test_a_member_is_posted_verbatim_with_its_encoding_and_explicit_precision() -> None:
    body = body_of("m f=1 1", "m f=2 2")
    with scripted(lambda _: Reply()) as server:
        delivered = write(server, body)
    request = server.requests[0]
    assert request.body == body.gzipped
    assert request.headers["content-encoding"] == "gzip"
    assert request.query == {"org": "ons", "bucket": "b", "precision": "ns"}
    assert request.headers["authorization"] == f"Token {TOKEN}"
    assert delivered == [Delivered(0, 2, ())]


def test_lines_that_a_400_names_are_refused_with_the_servers_words_and_the_rest_is_sent() -> None:
    def answer(request: Request) -> Reply:
        bad = [line.decode() for line in request.lines if b"bad" in line]
        message = "\n".join(f"unable to parse '{line}': missing fields" for line in bad)
        return Reply(400, message) if bad else Reply()

    with scripted(answer) as server:
        (delivered,) = write(server, body_of("m f=1 1", "bad one 2", "m f=3 3", "bad two 4"))
    assert [(each.line, each.reason) for each in delivered.refused] == [
        ("bad one 2", "missing fields"),
        ("bad two 4", "missing fields"),
    ]
    assert server.writes[-1].lines == [b"m f=1 1", b"m f=3 3"]
    assert len(server.writes) == 2


def test_a_400_that_names_no_line_of_ours_is_looked_for_by_halves() -> None:
    def answer(request: Request) -> Reply:
        return Reply(400, "unable to parse 'something else': oh") if b"bad f=1 3" in request.lines else Reply()

    with scripted(answer) as server:
        (delivered,) = write(server, body_of("m f=1 1", "m f=1 2", "bad f=1 3", "m f=1 4"))
    assert [each.line for each in delivered.refused] == ["bad f=1 3"]


def test_a_400_about_the_request_itself_stops_the_load() -> None:
    with (
        scripted(lambda _: Reply(400, "Please provide either orgID or org")) as server,
        pytest.raises(Permanent, match="orgID"),
    ):
        write(server, body_of("m f=1 1"))


def test_a_request_that_is_too_large_is_halved_until_it_passes() -> None:
    with scripted(lambda request: Reply(413 if len(request.lines) > 3 else 204)) as server:
        (delivered,) = write(server, body_of(*(f"m f=1 {n}" for n in range(20))))
    assert delivered.refused == ()


def test_a_413_to_a_single_line_stops_the_load_and_quarantines_nothing() -> None:
    with (
        scripted(lambda _: Reply(413, "<h1>413 Request Entity Too Large</h1>")) as server,
        pytest.raises(Permanent, match=r"even one line, 7 bytes.*client_max_body_size"),
    ):
        write(server, body_of("m f=1 1", "m f=1 2"))


@pytest.mark.parametrize("status", [400, 422])
def test_the_lines_behind_a_partial_write_are_found_by_halves_and_refused(status: int) -> None:
    def answer(request: Request) -> Reply:
        bad = [line for line in request.lines if line.endswith((b"7", b"21"))]
        return Reply(status, 'partial write: field type conflict: input field "f" dropped=1') if bad else Reply()

    with scripted(answer) as server:
        (delivered,) = write(server, body_of(*(f"m f=1 {n}" for n in range(32) if n != 17 and n != 27)))
    assert sorted(each.line for each in delivered.refused) == ["m f=1 21", "m f=1 7"]
    assert "field type conflict" in delivered.refused[0].reason
    written = {line for request in server.writes if not answer(request).message for line in request.lines}
    assert len(written) == 28


@pytest.mark.parametrize(
    "words",
    [
        "points beyond retention policy dropped=1",
        "dropped 1 points outside retention policy of duration 24h0m0s - oldest point m at 1970-01-01T00:00:00Z dropped",
    ],
)
def test_a_422_about_the_retention_stops_the_load_at_once(words: str) -> None:
    with (
        scripted(lambda _: Reply(422, f"failure writing points to database: partial write: {words}")) as server,
        pytest.raises(Permanent, match="beyond the bucket's retention"),
    ):
        write(server, body_of("m f=1 1", "m f=1 2"))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "words",
    [
        'field type conflict: input field "retention" on measurement "m" is type float, already exists as type integer '
        "dropped=1",
        'invalid field name: input field "x" on measurement "m" is invalid. dropped=0 for database: 0a for retention '
        "policy: autogen",
        'field type conflict: input field "points beyond retention policy" on measurement "m" is type float dropped=1',
    ],
)
def test_a_422_that_only_has_the_word_retention_in_it_costs_the_lines_that_it_is_about(words: str) -> None:
    def answer(request: Request) -> Reply:
        told = f"failure writing points to database: partial write: {words}"
        return Reply(422, told) if b"m retention=1 2" in request.lines else Reply()

    with scripted(answer) as server:
        (delivered,) = write(server, body_of("m f=1 1", "m retention=1 2", "m f=1 3"))
    assert [each.line for each in delivered.refused] == ["m retention=1 2"]


def test_more_than_a_hundred_bad_lines_in_a_member_are_the_mappings_fault() -> None:
    with (
        scripted(lambda request: Reply(422, "partial write: x dropped=1") if request.body else Reply()) as server,
        pytest.raises(Permanent, match="this is the mapping"),
    ):
        write(server, body_of(*(f"m f=1 {n}" for n in range(MOST_REFUSED_LINES + 50))))


def test_a_short_request_of_which_every_line_is_refused_is_the_mappings_fault_too() -> None:
    with (
        scripted(lambda request: Reply(422, "partial write: x dropped=1") if request.body else Reply()) as server,
        pytest.raises(Permanent, match=r"refuses all 50 lines.*this is the mapping"),
    ):
        write(server, body_of(*(f"m f=1 {n}" for n in range(50))))


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [(401, Permanent, "INFLUXDB_TOKEN"), (403, Permanent, "permission"), (404, Missing, "INFLUXDB_ORG")],
)
def test_wrong_configuration_stops_at_once_and_says_what_to_fix(status: int, kind: type, hint: str) -> None:
    with (
        scripted(lambda _: Reply(status, f"no, {TOKEN} is wrong")) as server,
        pytest.raises(kind) as caught,
    ):
        write(server, *(body_of(f"m f=1 {n}", number=n) for n in range(50)))
    assert hint in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert len(server.writes) <= 4


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_passing_trouble_is_retried_until_it_passes(status: int) -> None:
    replies = iter([Reply(status, "busy"), Reply(status, "busy"), Reply()])
    with scripted(lambda _: next(replies)) as server:
        delivered = write(server, body_of("m f=1 1"))
    assert len(server.requests) == 3
    assert delivered[0].refused == ()


def test_a_broken_connection_is_retried() -> None:
    replies = iter([Reply(hang_up=True), Reply()])
    with scripted(lambda _: next(replies)) as server:
        assert write(server, body_of("m f=1 1")) == [Delivered(0, 1, ())]


def test_the_wait_that_a_server_asks_for_is_kept() -> None:
    replies = iter([Reply(429, "slow down", headers={"Retry-After": "0.3"}), Reply()])
    with scripted(lambda _: next(replies)) as server:
        began = time.monotonic()
        write(server, body_of("m f=1 1"))
    assert time.monotonic() - began >= 0.3


def test_retries_end_after_max_retry_attempts() -> None:
    with scripted(lambda _: Reply(503, "busy")) as server, pytest.raises(Transient, match="busy"):
        write(server, body_of("m f=1 1"))
    assert len(server.writes) == 1 + QUICK.attempts


def test_a_body_that_is_only_throttled_is_never_halved() -> None:
    with (
        scripted(lambda request: Reply(429, "busy") if request.body else Reply()) as server,
        pytest.raises(Transient),
    ):
        write(server, body_of(*(f"m f=1 {n}" for n in range(8))))
    assert all(len(request.lines) == 8 for request in server.writes)


def test_a_body_that_fails_alone_while_others_pass_is_halved_to_its_line() -> None:
    with scripted(
        lambda request: Reply(500, "internal error") if b"poison f=1 3" in request.lines else Reply()
    ) as server:
        delivered = write(
            server, body_of("m f=1 1", "m f=1 2", "poison f=1 3", "m f=1 4"), body_of("m f=1 9", number=1)
        )
    refused = [each for body in delivered for each in body.refused]
    assert [(each.body, each.line) for each in refused] == [(0, "poison f=1 3")]


def test_a_server_that_fails_every_line_is_not_believed() -> None:
    with (
        scripted(lambda request: Reply(500, "internal error") if request.body else Reply()) as server,
        pytest.raises(Transient, match="internal error"),
    ):
        write(server, body_of(*(f"m f=1 {n}" for n in range(64))), policy=RetryPolicy(1, 0.0))


def test_bodies_in_flight_stay_within_twice_the_connections() -> None:
    busy, most, lock = 0, 0, threading.Lock()
    taken = 0

    def answer(_: Request) -> Reply:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.005)
        with lock:
            busy -= 1
        return Reply()

    def bodies():
        nonlocal taken
        for number in range(60):
            taken += 1
            yield body_of(f"m f=1 {number}", number=number)

    delivered: list[Delivered] = []
    ahead = 0

    def on_delivered(each: Delivered) -> None:
        nonlocal ahead
        delivered.append(each)
        ahead = max(ahead, taken - len(delivered))

    with scripted(answer) as server:
        Writer(WriteRequests(server.target, "b", 3, QUICK)).write(bodies(), on_delivered)
    assert sorted(each.number for each in delivered) == list(range(60))
    assert most <= 3
    assert ahead <= 6


def test_what_was_delivered_before_a_failure_is_told() -> None:
    def answer(request: Request) -> Reply:
        if b"m f=1 5" in request.lines:
            time.sleep(0.01)
            return Reply(401, "unauthorized access")
        return Reply()

    delivered: list[Delivered] = []
    with scripted(answer) as server, pytest.raises(Permanent):
        Writer(WriteRequests(server.target, "b", 2, QUICK)).write(
            (body_of(f"m f=1 {n}", number=n) for n in range(2000)), delivered.append
        )
    acknowledged = {each.number for each in delivered}
    assert {0, 1, 2, 3, 4} <= acknowledged
    assert 5 not in acknowledged
    assert len(server.writes) < 1000


def test_lines_are_cut_as_the_servers_scanner_cuts_them() -> None:
    body = b'm,t="q f="a\nb",g=1 1\nm f=2 2\n\nm,a=x\\ y f="say \\"hi\\"\n" 3\n'
    assert split_lines(body) == [b'm,t="q f="a\nb",g=1 1', b"m f=2 2", b'm,a=x\\ y f="say \\"hi\\"\n" 3']


def test_a_named_line_with_quotes_and_line_feeds_is_found() -> None:
    lines = [b"m f=1 1", b"m f=\"it's': \nx\" x", b"m f=2 2"]
    message = "unable to parse 'm f=\"it's': \nx\" x': bad timestamp\nunable to parse 'm f=2 2': oh"
    assert named_lines(message, lines) == {1: "bad timestamp", 2: "oh"}


def test_a_body_with_more_lines_than_batch_lines_is_sent_in_about_equal_portions() -> None:
    delivered: list[Delivered] = []
    lines = [f'm,d=1 f={n}i,s="a\n{n}" {n}' for n in range(25)]
    with scripted(lambda _: Reply()) as server:
        writer = Writer(WriteRequests(server.target, "b", 2, QUICK, batch_lines=10))
        writer.write([body_of(*lines), body_of("m f=1 1", number=1)], delivered.append)
    portions = [split_lines(gzip.decompress(request.body)) for request in server.writes]
    assert sorted(map(len, portions)) == [1, 8, 8, 9]
    assert sorted(line.decode() for portion in portions for line in portion) == sorted([*lines, "m f=1 1"])
    assert sorted((each.number, each.lines) for each in delivered) == [(0, 25), (1, 1)]


def test_without_compression_the_text_is_sent_and_no_encoding_is_named() -> None:
    with scripted(lambda _: Reply()) as server:
        Writer(WriteRequests(server.target, "b", 1, QUICK, compressed=False)).write(
            [body_of("m f=1 1", "m f=2 2")], lambda _: None
        )
        Writer(WriteRequests(server.target, "b", 1, QUICK, compressed=False, batch_lines=1)).write(
            [body_of("m f=1 1", "m f=2 2")], lambda _: None
        )
    assert [request.body for request in server.writes] == [b"m f=1 1\nm f=2 2\n", b"m f=1 1\n", b"m f=2 2\n"]
    assert all("content-encoding" not in request.headers for request in server.writes)


def test_an_overloaded_server_gets_fewer_requests_at_a_time() -> None:
    busy, lock, asked = 0, threading.Lock(), 0
    at_a_time: list[int] = []

    def answer(_: Request) -> Reply:
        nonlocal busy, asked
        with lock:
            busy += 1
            asked += 1
            overloaded = asked <= 20
            at_a_time.append(busy)
        time.sleep(0.002)
        with lock:
            busy -= 1
        return Reply(429, "slow down") if overloaded else Reply()

    with scripted(answer) as server:
        writer = Writer(WriteRequests(server.target, "b", None, RetryPolicy(attempts=30, base_s=0.001)))
        writer.write((body_of(f"m f=1 {n}", number=n) for n in range(30)), lambda _: None)
    # The first two keep the places that they had until they are through.
    assert set(at_a_time[-20:]) == {1}
    assert writer.requests.level.limit == 1


def test_bodies_that_wait_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ts_migration.influxdb.writer.MOST_WAITING_BYTES", 3_000)
    taken, told, ahead = 0, 0, 0

    def bodies():
        nonlocal taken
        for number in range(40):
            taken += 1
            yield Body(number, gzip.compress(b"m f=1 1\n") + b"\0" * 972, 1)  # a thousand bytes each

    def on_delivered(_: Delivered) -> None:
        nonlocal told, ahead
        ahead = max(ahead, taken - told)
        told += 1

    with scripted(lambda _: (time.sleep(0.005), Reply())[1]) as server:
        Writer(WriteRequests(server.target, "b", 16, QUICK)).write(bodies(), on_delivered)
    assert told == 40
    assert ahead <= 4, "three that wait, and the one that is to be added"


def test_a_server_that_fails_now_and_then_is_not_made_to_refuse_good_lines() -> None:
    """It fails three requests of four, whatever they hold: a good line must not end in the quarantine for that."""
    count = iter(range(10**6))
    with scripted(lambda request: Reply() if not request.body or next(count) % 4 == 3 else Reply(500, "oh")) as server:
        refused = []
        try:
            for delivered in write(server, *(body_of(f"m f=1 {n}", f"m f=2 {n}", number=n) for n in range(4))):
                refused += delivered.refused
        except Transient:
            pass
    assert refused == []


def test_a_poisoned_line_that_is_met_before_any_other_has_passed_is_found_all_the_same() -> None:
    with scripted(lambda request: Reply(500, "oh") if b"poison f=1 1" in request.lines else Reply()) as server:
        (delivered,) = write(server, body_of("poison f=1 1", "m f=1 2", "m f=1 3"))
    assert [each.line for each in delivered.refused] == ["poison f=1 1"]


def test_a_body_of_nothing_but_failing_lines_is_the_servers_fault() -> None:
    with (
        scripted(lambda request: Reply(500, "oh") if request.body else Reply()) as server,
        pytest.raises(Transient, match="oh"),
    ):
        write(server, body_of("m f=1 1", "m f=1 2"))
