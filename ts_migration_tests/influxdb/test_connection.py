"""The connection: what errors mean and say, proxies and secrets."""

import socket
import threading
import time
from contextlib import ExitStack, suppress

import pytest
from pydantic import SecretStr

from ts_migration.errors import ConfigurationError, Permanent, Transient
from ts_migration.influxdb.connection import Answer, Target
from ts_migration.influxdb.deletion import delete_points
from ts_migration.influxdb.quoting import flux_string, identifier, predicate, string
from ts_migration.windows import Window
from ts_migration_tests.influxdb.scripted import TOKEN, Reply, scripted


def test_a_server_that_is_away_is_transient_and_says_where_to_look() -> None:
    with pytest.raises(Transient) as caught:
        Target("http://127.0.0.1:9", "ons", SecretStr(TOKEN)).version()
    assert "cannot be reached" in str(caught.value)
    assert "INFLUXDB_URL" in str(caught.value)


def test_something_else_that_answers_is_not_taken_for_influxdb() -> None:
    with (
        scripted(lambda _: Reply(200, body=b"<html>")) as server,
        pytest.raises(Permanent, match="not InfluxDB"),
    ):
        server.target.version()


def test_the_version_is_that_of_health() -> None:
    with scripted(lambda _: Reply(200, body=b'{"name":"influxdb","status":"pass","version":"2.7.11"}')) as server:
        assert server.target.version() == "2.7.11"


@pytest.mark.parametrize("url", ["influx.example.com:8086", "ftp://host", "", "http://"])
def test_an_url_that_is_none_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError, match="INFLUXDB_URL"):
        Target(url, "ons", SecretStr(TOKEN))


def test_the_token_is_in_no_text() -> None:
    target = Target("http://127.0.0.1:9", "ons", SecretStr(TOKEN))
    answer = Answer(401, {}, f'{{"message":"token {TOKEN} unknown"}}'.encode())
    assert TOKEN not in repr(target) + str(target.error(answer, f"x {TOKEN}".replace(TOKEN, "")))


def test_an_interim_answer_is_not_the_last_word_and_what_comes_after_it_answers_no_other_request() -> None:
    """A write that was never answered would be taken for durable by the 204 of the one before."""

    def serve() -> None:
        with ExitStack() as connections:
            for last in (b"204 No Content", b"500 Internal Server Error"):
                connection = connections.enter_context(listener.accept()[0])
                connection.recv(1 << 16)
                if last.startswith(b"204"):
                    connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
                    time.sleep(0.1)
                with suppress(OSError):
                    connection.sendall(b"HTTP/1.1 " + last + b"\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        target = Target(f"http://127.0.0.1:{listener.getsockname()[1]}", "ons", SecretStr(TOKEN))
        with pytest.raises(Transient, match="103"):
            target.request("POST", "/api/v2/write", body=b"m f=1 1")
        assert target.request("POST", "/api/v2/write", body=b"m f=2 2").status == 500


def test_a_redirect_is_not_followed_and_told() -> None:
    with (
        scripted(lambda _: Reply(302, headers={"Location": "https://elsewhere/"})) as server,
        pytest.raises(Permanent, match="elsewhere"),
    ):
        _raise(server.target)


def _raise(target: Target) -> None:
    raise target.error(target.request("GET", "/health"), "the server is not healthy")


def test_a_proxy_of_the_environment_is_used_unless_the_host_is_excepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with scripted(lambda _: Reply(200, body=b'{"name":"influxdb","version":"2.7.11"}')) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert Target("http://influx.example:8086", "o", SecretStr("t")).version() == "2.7.11"
        assert len(proxy.requests) == 1
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert Target(proxy.url, "o", SecretStr("t")).version() == "2.7.11"


def test_an_error_of_an_answer_keeps_the_servers_words_but_not_megabytes() -> None:
    answer = Answer(422, {}, b'{"code":"x","message":"' + b"y" * 5_000_000 + b'"}')
    assert len(str(Target("http://h", "o", SecretStr("t")).error(answer, "no"))) < 3000


def test_names_and_texts_are_quoted_for_their_language() -> None:
    assert identifier('a"b\\c\nd') == '"a\\"b\\\\c\\nd"'
    assert string("it's \\ \n") == "'it\\'s \\\\ \\n'"
    assert flux_string('${x} "q"\t') == '"\\${x} \\"q\\"\\t"'
    assert predicate("m", {"tag": 'v"'}) == '_measurement="m" AND "tag"="v\\""'


def test_a_half_open_window_is_deleted_to_one_nanosecond_before_its_end() -> None:
    with scripted(lambda _: Reply(204)) as server:
        delete_points(server.target, "b", "m", Window(1_672_531_200_000_000_000, 1_672_534_800_000_000_000))
        delete_points(server.target, "b", "m", Window(5, 5))
    (request,) = server.requests
    assert b'"start": "2023-01-01T00:00:00Z", "stop": "2023-01-01T00:59:59.999999999Z"' in request.body


@pytest.mark.parametrize(
    ("path", "kept"), [("", ""), ("/", ""), ("/a%20b/influx/", "/a%20b/influx"), ("/ä", "/%C3%A4")]
)
def test_a_path_of_the_url_stands_before_that_of_every_request(path: str, kept: str) -> None:
    with scripted(lambda _: Reply()) as server:
        Target(server.url + path, "ons", SecretStr("t")).request("POST", "/api/v2/write", {"org": "ção & co"})

    assert [(request.path, request.query) for request in server.requests] == [
        (f"{kept}/api/v2/write", {"org": "ção & co"})
    ]
