"""Every row of the table of answers (DESIGN 4.6) between the real stages and a real bucket: whatever the server says, in
the end the window is proven, or passed with exactly the lines that it would not take.
"""

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import polars as pl
import pytest

from ts_migration.errors import Missing, Permanent, Transient
from ts_migration.influxdb.deletion import delete_points
from ts_migration.influxdb.lines import split_lines
from ts_migration.influxdb.retries import RetryPolicy
from ts_migration.manifests import VerdictsManifest
from ts_migration.operations.quarantine import entries, quarantine_of, replay_of
from ts_migration.stages.mending import forget_load
from ts_migration.stages.passed_windows import passed_windows, refused_of_failed
from ts_migration.stages.proof import proof_of
from ts_migration.windows import Window
from ts_migration_tests.influxdb.intercepting import Intercepted, Reply, Script, Write, intercepting
from ts_migration_tests.stages.conftest import HOUR, START, Migration, Stack, new_migration, plant_rows

pytestmark = pytest.mark.stack

QUICK = RetryPolicy(attempts=4, base_s=0.002)


@contextmanager
def behind(migration: Migration, script: Script = lambda _: None) -> Iterator[tuple[Migration, Intercepted]]:
    """A converted migration whose InfluxDB is reached through a server that answers by a script."""
    migration.export()
    migration.convert()
    with intercepting(migration.stack.target, script) as server:
        yield Migration(replace(migration.stack, target=server.target), migration.config), server


def once(reply: Reply, times: int = 1) -> Script:
    """The first writes get this reply."""
    return lambda write: reply if write.number < times else None


def failed_checks(verdicts: VerdictsManifest) -> list[str]:
    return [verdict.check for verdict in verdicts.verdicts if not verdict.passed]


def test_204_is_durable_and_every_member_is_sent_once(migration: Migration) -> None:
    with behind(migration) as (through, server):
        loaded = through.load(policy=QUICK)
        assert through.check().status == "proven"
    assert len(server.writes) == loaded.members == loaded.requests
    assert loaded.retries == 0


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_retried_and_the_window_is_proven(migration: Migration, status: int) -> None:
    with behind(migration, once(Reply(status, "busy", {"Retry-After": "0"}), 3)) as (through, _):
        loaded = through.load(policy=QUICK)
        assert through.check().status == "proven"
    assert loaded.retries == 3


def test_a_broken_connection_is_retried_and_the_window_is_proven(migration: Migration) -> None:
    with behind(migration, once(Reply(hang_up=True), 3)) as (through, _):
        assert through.load(policy=QUICK).retries == 3
        assert through.check().status == "proven"


def test_an_answer_that_was_lost_after_the_write_changes_nothing(migration: Migration) -> None:
    def lose(write: Write) -> Reply | None:
        return Reply(hang_up=True, write_first=write.text) if write.number % 3 == 0 else None

    with behind(migration, lose) as (through, server):
        loaded = through.load(policy=QUICK)
        assert through.check().status == "proven"
    assert loaded.retries >= 2
    assert len(server.writes) == loaded.members + loaded.retries


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [(401, Permanent, "INFLUXDB_TOKEN"), (403, Permanent, "permission"), (404, Missing, "INFLUXDB_ORG")],
)
def test_a_wrong_configuration_stops_at_once_and_once_it_is_mended_the_window_is_proven(
    migration: Migration, status: int, kind: type[Permanent], hint: str
) -> None:
    with behind(migration, lambda _: Reply(status, "no")) as (through, server):
        with pytest.raises(kind, match=hint):
            through.load(policy=QUICK)
        assert len(server.writes) <= 2, "one for each connection"
        server.script = lambda _: None
        through.load(policy=QUICK)
        assert through.check().status == "proven"


def test_a_server_that_is_away_for_too_long_ends_the_load_which_then_goes_on_where_it_was(migration: Migration) -> None:
    with behind(migration, lambda write: Reply(503, "busy") if write.number >= 2 else None) as (through, server):
        with pytest.raises(Transient, match="busy"):
            through.load(policy=QUICK)
        server.script = lambda _: None
        loaded = through.load(policy=QUICK)
        assert loaded.resumed_members == 2
        assert through.check().status == "proven"


def test_points_beyond_the_retention_stop_the_load_and_without_one_the_window_is_proven(migration: Migration) -> None:
    words = "failure writing points to database: partial write: points beyond retention policy dropped=3"
    with behind(migration, once(Reply(422, words))) as (through, _):
        with pytest.raises(Permanent, match="beyond the bucket's retention"):
            through.load(policy=QUICK)
        through.load(policy=QUICK)
        assert through.check().status == "proven"


def refusing(bad: Callable[[bytes], bool], status: int) -> Script:
    """A server that refuses some lines as InfluxDB 2 does: by a 400 for all, or by a 422 for the others' benefit."""

    def script(write: Write) -> Reply | None:
        lines = split_lines(write.text)
        wrong = [line for line in lines if bad(line)]
        if not wrong:
            return None
        if status == 400:
            named = "\n".join(f"unable to parse '{line.decode()}': missing fields" for line in wrong)
            return Reply(400, named)
        good = b"\n".join(line for line in lines if not bad(line))
        words = f"failure writing points to database: partial write: field type conflict dropped={len(wrong)}"
        return Reply(422, words, write_first=good or None)

    return script


@pytest.fixture(scope="module")
def wide(stack: Stack) -> Migration:
    """One window of 50,000 rows, one request."""
    times = [START + at * HOUR // 100 for at in range(50_000)]
    rows = pl.DataFrame(
        {
            "time": times,
            "plant": [f"P{at % 200}" for at in range(50_000)],
            "subsystem": ["SE"] * 50_000,
            "load_mw": [at / 8 for at in range(50_000)],
            "units": [None] * 50_000,
            "online": [True] * 50_000,
            "note": [None] * 50_000,
        },
        schema_overrides={"units": pl.Int64, "note": pl.String},
    )
    found = new_migration(stack, rows)
    return found.changed(batch_size=50_000)


@pytest.mark.parametrize("status", [400, 422])
def test_three_refused_lines_of_fifty_thousand_cost_those_three_lines(
    wide: Migration, status: int, stack: Stack
) -> None:
    migration = wide.changed(target_bucket=f"refused_{status}", job_name=f"refused {status}")
    ends = tuple(f" {START + at * HOUR // 100}".encode() for at in (17, 25_000, 49_999))
    with behind(migration, refusing(lambda line: line.endswith(ends), status)) as (through, server):
        stack.bucket.delete(through.own().manifest("load"))
        stack.bucket.delete_prefix(through.own().ledger)
        loaded = through.load(policy=QUICK)
        verdicts = through.check()
    assert (loaded.members, loaded.points, loaded.refused_lines) == (1, 49_997, 3)
    assert verdicts.status == "passed", "what is missing in the bucket is exactly what was refused"
    assert failed_checks(verdicts) == []
    assert len(server.writes) <= (2 if status == 400 else 120)
    kept = [json.loads(line) for line in gzip.decompress(stack.bucket.get(through.own().refused)).splitlines()]
    assert sorted(line["line"].rsplit(" ", 1)[1] for line in kept) == sorted(end.decode().strip() for end in ends)
    words = "missing fields" if status == 400 else "field type conflict"
    assert all(words in line["reason"] for line in kept)
    told = summary(through)
    assert "3 lines refused by InfluxDB" in told
    assert all(line["line"] in told for line in kept), "the summary names them"
    assert words in told


def summary(migration: Migration) -> str:
    """What `execute` and `validate` say at their end of windows that passed and are not proven."""
    proof = proof_of(migration.config, migration.job, migration.stack.bucket)
    return passed_windows(proof, migration.job.slug, migration.place, migration.stack.bucket)


def test_lines_that_were_refused_are_taken_when_they_are_tried_again(migration: Migration) -> None:
    at = str(START + 6 * HOUR + 1).encode()
    with behind(migration, refusing(lambda line: line.endswith(b" " + at), 422)) as (through, server):
        assert through.load(policy=QUICK).refused_lines == 2
        assert through.check().status == "passed"
        (one,) = quarantine_of(through.config, through.job, through.stack.bucket)
        assert replay_of([one]).reloaded == (one.key,)
        assert [entry.reason for entry in entries(through.config, through.job, through.stack.bucket)] == [
            "failure writing points to database: partial write: field type conflict dropped=1"
        ] * 2

        server.script = lambda _: None
        forget_load(through.stack.bucket, through.own())
        assert through.load(policy=QUICK).refused_lines == 0
        assert through.check().status == "proven"
        assert quarantine_of(through.config, through.job, through.stack.bucket) == []


def test_refused_lines_are_not_named_among_points_that_are_missing(migration: Migration) -> None:
    at, job = START + 6 * HOUR + 1, migration.job
    with behind(migration, refusing(lambda line: line.endswith(f" {at}".encode()), 422)) as (through, _):
        assert through.load(policy=QUICK).refused_lines == 2
        first = Window(START + 1, START + 2)
        delete_points(migration.stack.target, job.target_bucket, job.measurement, first, {"plant": "Itaipu, 1"})
        verdicts = through.check()
    (checksum,) = [verdict for verdict in verdicts.verdicts if verdict.check == "checksum"]
    assert checksum.difference == "2 missing, 0 extra, 0 changed values"
    assert all("2023-01-01T00:00:00.000000001Z" in line for line in checksum.evidence if line.startswith("missing"))


def test_refused_lines_of_a_window_that_failed_are_named_too(migration: Migration) -> None:
    """Where a field has another type in the bucket the schema check fails, which does not tell what was refused."""
    at, job = START + 6 * HOUR + 1, migration.job
    with behind(migration, refusing(lambda line: line.endswith(f" {at}".encode()), 422)) as (through, _):
        through.load(policy=QUICK)
        first = Window(START + 1, START + 2)
        delete_points(migration.stack.target, job.target_bucket, job.measurement, first, {"plant": "Itaipu, 1"})
        assert through.check().status == "failed"
        proof = proof_of(through.config, through.job, through.stack.bucket)
        told = refused_of_failed(proof, through.job.slug, through.place, through.stack.bucket)
        kept = gzip.decompress(through.stack.bucket.get(through.own().refused)).splitlines()
        assert summary(through) == ""
    (window,) = [window for window in proof.windows if window.status == "failed"]
    assert window.reason.endswith(" failed: broken by the load; 2 lines refused by the server")
    assert "of 1 window that failed its checks: 2 lines refused by InfluxDB" in told
    assert all(json.loads(line)["line"].rsplit(" ", 1)[1] in told for line in kept)


def test_a_smaller_batch_size_cuts_what_is_converted_and_not_yet_acknowledged(migration: Migration) -> None:
    with behind(migration, lambda write: Reply(503, "busy") if write.number >= 2 else None) as (through, server):
        with pytest.raises(Transient):
            through.load(policy=QUICK)
        server.script = lambda _: None
        server.writes.clear()
        smaller = through.changed(batch_size=10)
        loaded = smaller.load(policy=QUICK)
        assert smaller.check().status == "proven"
    assert loaded.resumed_members == 2
    assert all(write.text.count(b"\n") < 30 for write in server.writes), "strings of this table hold line feeds"
    assert len(server.writes) >= (loaded.members - 2) * 5 - 4


def test_uncompressed_requests_prove_the_same_window(migration: Migration) -> None:
    with behind(migration.changed(compression=None)) as (through, server):
        through.load(policy=QUICK)
        assert through.check().status == "proven"
    assert server.writes and not any(write.gzipped for write in server.writes)


def test_a_timeout_halves_the_requests_in_flight_and_the_window_is_proven(migration: Migration) -> None:
    words = "unexpected error writing points to database: timeout"
    with behind(migration, once(Reply(500, words))) as (through, _):
        loaded = through.load(policy=QUICK)
        assert through.check().status == "proven"
    assert loaded.retries == 1


def test_the_plant_rows_hold_what_makes_lines_hard() -> None:
    rows = plant_rows(1)
    assert rows["note"].str.contains('"').any() and rows["plant"].str.contains(",").any()
