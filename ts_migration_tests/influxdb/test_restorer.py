"""Files on their way into shards: what is sent again, what ends a load, and what is told of it."""

from collections.abc import Callable

import pytest
from pydantic import SecretStr

from ts_migration.errors import Permanent, Transient
from ts_migration.influxdb import restorer
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.restorer import FileToSend, Restorer
from ts_migration.influxdb.retries import RetryPolicy

Send = Callable[[Target, int, str, bytes], None]


def restored(
    monkeypatch: pytest.MonkeyPatch, send: Send, *, files: int = 4, attempts: int = 3
) -> tuple[Restorer, list[int]]:
    """A restorer after its work, and the numbers of the files that it told of."""
    monkeypatch.setattr(restorer, "send_file", send)
    one = Restorer(Target("http://127.0.0.1:1", "o", SecretStr("t")), 1, RetryPolicy(attempts, 0.0))
    told: list[int] = []
    bodies = [FileToSend(n, 7, f"{n}.tsm", 10, lambda n=n: bytes(n)) for n in range(files)]  # type: ignore[misc]
    one.restore(bodies, lambda each: told.append(each.number))
    return one, told


def test_a_file_that_fails_for_now_is_sent_again_under_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def send(_target: Target, _shard: int, name: str, _content: bytes) -> None:
        names.append(name)
        if names.count(name) < 3 and name == "1.tsm":
            raise Transient("500")

    one, told = restored(monkeypatch, send)
    assert names == ["0.tsm", "1.tsm", "1.tsm", "1.tsm", "2.tsm", "3.tsm"]
    assert (told, one.counts.requests, one.counts.retries, one.counts.bytes) == ([0, 1, 2, 3], 6, 2, 6)


def test_an_error_that_lasts_ends_the_load_and_is_the_one_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def send(_target: Target, _shard: int, name: str, _content: bytes) -> None:
        names.append(name)
        if name == "1.tsm":
            raise Permanent("the token may not")

    with pytest.raises(Permanent, match="the token may not"):
        restored(monkeypatch, send)
    assert names == ["0.tsm", "1.tsm"]


def test_a_file_that_never_gets_through_is_told_after_all_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    def send(*_: object) -> None:
        raise Transient("the shard did not take it")

    with pytest.raises(Transient, match="did not take it") as failed:
        restored(monkeypatch, send, attempts=2)
    assert failed.value.exhausted
