"""What was acknowledged is there after a kill; what was cut off in the middle of a write is not, and does no harm."""

import threading
from pathlib import Path

import pytest
import urllib3

from ts_migration.local.influxdb.line_protocol import parser
from ts_migration.local.influxdb.storage.bucket import Bucket
from ts_migration.local.influxdb.storage.shard_groups import DAY_NS
from ts_migration.local.influxdb.storage.wal import LogFailed
from ts_migration_tests.local.influxdb.embedded import ORG, TOKEN, Process
from ts_migration_tests.local.influxdb.test_storage import contents, write

HEADERS = {"Authorization": f"Token {TOKEN}"}


def post(url: str, body: bytes) -> int:
    query = f"org={ORG}&bucket=default&precision=ns"
    http = urllib3.PoolManager(retries=False)
    return http.request("POST", f"{url}/api/v2/write?{query}", body=body, headers=HEADERS).status


def stored_times(data: Path) -> set[int]:
    """Times in the bucket `default`, read by the storage engine from what the dead server left on disk."""
    found: set[int] = set()
    for directory in (data / "buckets").iterdir():
        found |= {time for _, time in contents(Bucket(directory))}
    return found


@pytest.mark.stack
def test_nothing_acknowledged_is_missing_after_kill_9_under_load(tmp_path: Path):
    data = tmp_path / "influxdb"
    acknowledged: set[int] = set()
    lock = threading.Lock()
    for round_ in range(3):
        process = Process(data)
        enough = threading.Event()

        def load(worker: int, url: str = process.running.url, base: int = round_ * 10**7, enough=enough):
            for number in range(10_000):
                first = base + worker * 10**6 + number * 50
                body = b"".join(b"m,w=%d f=%di %d\n" % (worker, first + n, first + n) for n in range(50))
                try:
                    status = post(url, body)
                except (urllib3.exceptions.HTTPError, OSError):
                    return
                assert status == 204
                with lock:
                    acknowledged.update(range(first, first + 50))
                if number > 10:
                    enough.set()

        workers = [threading.Thread(target=load, args=(worker,)) for worker in range(3)]
        for worker in workers:
            worker.start()
        assert enough.wait(20)
        process.kill()
        for worker in workers:
            worker.join()
    assert len(acknowledged) > 1000
    assert acknowledged <= stored_times(data)


@pytest.mark.stack
def test_a_server_that_was_told_to_stop_stops_cleanly_and_comes_back(tmp_path: Path):
    process = Process(tmp_path / "influxdb")
    assert post(process.running.url, b"m f=1 7") == 204
    assert process.stop() == 0
    process = Process(tmp_path / "influxdb")
    assert post(process.running.url, b"m f=1 8") == 204
    process.kill()
    assert stored_times(tmp_path / "influxdb") == {7, 8}


@pytest.mark.parametrize("cut", [1, 5, 9, 40])
def test_a_torn_tail_is_cut_off_and_writing_goes_on(tmp_path: Path, cut: int):
    bucket = Bucket(tmp_path)
    write(bucket, "m f=1 1")
    write(bucket, "m f=2 2")
    bucket.close()
    log = next(tmp_path.glob("wal-*.log"))
    log.write_bytes(log.read_bytes()[:-cut])
    bucket = Bucket(tmp_path)
    assert contents(bucket) == {((), 1): {"f": 1.0}}
    assert write(bucket, "m f=3 3") is None
    bucket.close()
    assert set(contents(Bucket(tmp_path))) == {((), 1), ((), 3)}


def test_a_spoiled_last_record_is_cut_off_too(tmp_path: Path):
    bucket = Bucket(tmp_path)
    write(bucket, "m f=1 1")
    write(bucket, "m f=2 2")
    bucket.close()
    log = next(tmp_path.glob("wal-*.log"))
    content = bytearray(log.read_bytes())
    content[-3] ^= 0xFF
    log.write_bytes(content)
    assert set(contents(Bucket(tmp_path))) == {((), 1)}


@pytest.mark.parametrize("dies_at", ["write_segment", "write_manifest"])
def test_a_flush_that_dies_half_way_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: str):
    bucket = Bucket(tmp_path)
    write(bucket, "m f=1 1")
    bucket.delete("m", 1, 1)
    write(bucket, "m f=2i 1\nm f=3i 2")

    def die(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"ts_migration.local.influxdb.storage.bucket.{dies_at}", die)
        with pytest.raises(KeyboardInterrupt):
            bucket.flush()
    everything = {((), 1): {"f": 2}, ((), 2): {"f": 3}}
    assert contents(bucket) == everything
    bucket = Bucket(tmp_path)
    assert contents(bucket) == everything
    bucket.flush()
    bucket.close()
    assert contents(Bucket(tmp_path)) == everything


def test_a_flush_that_failed_is_made_up_for_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bucket = Bucket(tmp_path)
    write(bucket, "m f=1 1")

    def refuse(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ts_migration.local.influxdb.storage.bucket.write_segment", refuse)
        with pytest.raises(OSError, match="No space left"):
            bucket.flush()
    write(bucket, "m f=2 1\nm f=2 2")
    bucket.flush()
    bucket.close()
    assert len(list(tmp_path.glob("wal-*.log"))) == 1
    assert contents(Bucket(tmp_path)) == {((), 1): {"f": 2.0}, ((), 2): {"f": 2.0}}


def test_a_delete_is_durable_and_does_not_reach_points_written_after_it(tmp_path: Path):
    bucket = Bucket(tmp_path)
    write(bucket, "m f=1 1\nm f=1 2")
    bucket.flush()
    bucket.delete("m", 1, 1)
    write(bucket, "m f=9 1")
    for _ in range(2):
        bucket.close()
        bucket = Bucket(tmp_path)
        assert contents(bucket) == {((), 1): {"f": 9.0}, ((), 2): {"f": 1.0}}
        bucket.flush()


def test_a_disk_that_refuses_is_never_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bucket = Bucket(tmp_path)

    def refuse(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ts_migration.local.influxdb.storage.wal.os.fsync", refuse)
    with pytest.raises(LogFailed, match="No space left"):
        bucket.write(parser.parse(b"m f=1 1", 1, 0), oldest_ns=None, group_ns=7 * DAY_NS)
    monkeypatch.undo()
    with pytest.raises(LogFailed):
        bucket.write(parser.parse(b"m f=1 2", 1, 0), oldest_ns=None, group_ns=7 * DAY_NS)


def test_writers_readers_flushes_and_deletes_at_once_lose_and_invent_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("ts_migration.local.influxdb.storage.bucket.FLUSH_AT_BYTES", 20_000)
    bucket = Bucket(tmp_path)
    write(bucket, "gone f=1i 1")
    failures: list[BaseException] = []
    done = threading.Event()

    def writer(number: int) -> None:
        for step in range(60):
            write(bucket, "\n".join(f"m,w={number} f={step}i,g={time}i {time}" for time in range(step, step + 40)))

    def reader() -> None:
        while not done.is_set():
            for block in bucket.snapshot().blocks("m"):
                values = {column.name: column.values for column in block.columns}
                assert (values["g"] == block.times).all()

    def deleter() -> None:
        for _ in range(5):
            bucket.delete("gone", 1, 1)
            write(bucket, "gone f=1i 1")

    def guarded(work, *arguments: int) -> None:
        try:
            work(*arguments)
        except BaseException as error:  # noqa: BLE001 - told to the main thread
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(writer, number)) for number in range(4)]
    threads += [threading.Thread(target=guarded, args=(deleter,))]
    watch = threading.Thread(target=guarded, args=(reader,))
    for thread in [*threads, watch]:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    watch.join()
    bucket.close()
    assert failures == []
    assert list(tmp_path.glob("segment-*.arrow"))
    last = {time: min(time, 59) for time in range(99)}
    expected = {((("w", str(n)),), time): {"f": f, "g": time} for n in range(4) for time, f in last.items()}
    bucket = Bucket(tmp_path)
    assert contents(bucket) == expected
    assert contents(bucket, "gone") == {((), 1): {"f": 1}}
