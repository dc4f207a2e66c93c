"""Leases: one run at a time works on a window, whoever started it and on whatever machine.

Two locks, taken in this order. A file lock under the Dagster home holds between processes of one machine and is
released by the kernel when its process dies, so a killed run blocks nobody. An object in the export bucket, made only
if absent and renewed by a heart, holds between machines; it counts for nothing once its heart has stopped for
`EXPIRY_S`, and at once where its holder locked in the same folder: that file lock would still be held. S3 makes "only
if absent" atomic (If-None-Match); a file-backed S3 that ignores the header is on one machine, where the file lock
suffices. A holder that slept too long to be sure of its lease asks before it writes: see `Lease.require`.
"""

import fcntl
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import dagster as dg
from botocore.exceptions import BotoCoreError, ClientError

from ts_migration.errors import Transient
from ts_migration.objects import ExportBucket, WindowPlace, raise_aws_error

HEARTBEAT_S = 10.0
EXPIRY_S = 45.0
POLL_S = 1.0
SURE_S = 30.0
"""How long after a beat nobody can have taken the lease, with room for a request that is on its way."""


@dataclass(frozen=True, slots=True)
class _Holder:
    """Who holds a lease, which folder its file lock lies in, and when its heart beat last (seconds, Unix time)."""

    owner: str
    folder: str
    beat: float = 0.0


class Lease:
    """A lease that this process holds, as long as it beats.

    A process that was suspended, or cut off from S3, may wake up when another machine has taken over.
    """

    def __init__(self, bucket: ExportBucket, place: WindowPlace, mine: _Holder) -> None:
        self._bucket = bucket
        self._place = place
        self._mine = mine
        self._beaten = time.time()
        self._asking = threading.Lock()

    def require(self) -> None:
        """Return only where the lease is still held: at once after a recent beat, else once S3 says so.

        Raises:
            Transient: another run has taken the window over: nothing may be written to it.
        """
        if time.time() - self._beaten <= SURE_S:
            return
        with self._asking:
            if time.time() - self._beaten > SURE_S:
                self._renew()

    def beat(self) -> None:
        """Renew the lease, where it is still this one."""
        with self._asking:
            if time.time() - self._beaten > SURE_S:
                self._renew()
            else:
                self._put()

    def end(self) -> None:
        """Give the lease back, unless it is another run's by now."""
        with suppress(Transient):
            self.require()
            self._bucket.delete(self._place.lease)

    def _renew(self) -> None:
        holder = _holder(self._bucket, self._place)
        if holder is None or (holder.owner, holder.folder) != (self._mine.owner, self._mine.folder):
            raise Transient(
                "this run was away for so long that its window was taken over"
                + (f" by the run {holder.owner}" if holder else ""),
                where=f"{self._place.table} window {self._place.key}",
                next_step="run the window again when the other run has ended",
            )
        self._put()

    def _put(self) -> None:
        began = time.time()
        _put(self._bucket, self._place, self._mine, only_if_absent=False)
        self._beaten = began


@contextmanager
def leased(
    bucket: ExportBucket,
    place: WindowPlace,
    owner: str,
    *,
    lock_folder: Path,
    wait_s: float,
    on_wait: Callable[[str], None],
) -> Iterator[Lease]:
    """Hold the window's lease.

    Args:
        owner: the run's id; the same owner may take its lease again.
        lock_folder: where file locks of this machine lie.
        wait_s: how long to wait for another run before refusing.
        on_wait: told once who holds the lease.

    Raises:
        Transient: another run still held the window after `wait_s`.
    """
    deadline = time.monotonic() + wait_s
    with _file_lock(lock_folder, place, deadline, on_wait):
        mine = _Holder(owner, _identity(lock_folder))
        _take(bucket, place, mine, deadline, on_wait)
        lease = Lease(bucket, place, mine)
        stop = threading.Event()
        heart = threading.Thread(target=_beat, args=(lease, stop), name=f"lease {place.key}", daemon=True)
        heart.start()
        try:
            yield lease
        finally:
            stop.set()
            heart.join(timeout=HEARTBEAT_S)
            lease.end()


def lease_folder(instance: dg.DagsterInstance) -> Path:
    """Where the file locks of an instance's windows lie."""
    return Path(instance.root_directory) / "leases"


def is_leased(bucket: ExportBucket, place: WindowPlace, lock_folder: Path) -> bool:
    """Whether a living run works on a window."""
    path = _lock_path(lock_folder, place)
    if path.exists():
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    holder = _holder(bucket, place)
    return holder is not None and not _is_dead(holder, _identity(lock_folder))


@contextmanager
def _file_lock(folder: Path, place: WindowPlace, deadline: float, on_wait: Callable[[str], None]) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    told = False
    with _lock_path(folder, place).open("a+") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    on_wait(f"another run on this machine works on window {place.key} of {place.table}: waiting")
                    told = True
                _wait_or_refuse(place, deadline, "another run on this machine")
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def _lock_path(folder: Path, place: WindowPlace) -> Path:
    return folder / f"{place.table}/{place.key}".replace("/", "%2F")


def _identity(folder: Path) -> str:
    """A lock folder's own name, made once: a host's name would not tell two containers apart."""
    path = folder / ".identity"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f".identity.{uuid.uuid4().hex}"
        fresh.write_text(uuid.uuid4().hex, encoding="utf-8")
        # A link and not a rename: of two that make it at a time, one wins and both read the winner's.
        with suppress(FileExistsError):
            path.hardlink_to(fresh)
        fresh.unlink()
    return path.read_text(encoding="utf-8")


def _is_dead(holder: _Holder, own_folder: str) -> bool:
    """Whether a lease counts for nothing; asked while the window's file lock in `own_folder` is held or free."""
    return holder.folder == own_folder or time.time() - holder.beat > EXPIRY_S


def _take(
    bucket: ExportBucket, place: WindowPlace, mine: _Holder, deadline: float, on_wait: Callable[[str], None]
) -> None:
    told = False
    while True:
        holder = _holder(bucket, place)
        if holder is None or holder.owner == mine.owner:
            if _put(bucket, place, mine, only_if_absent=holder is None):
                return
            continue
        if _is_dead(holder, mine.folder):
            on_wait(f"the run {holder.owner} held window {place.key} but is dead: taking over")
            bucket.delete(place.lease)
            continue
        if not told:
            on_wait(f"the run {holder.owner} works on window {place.key} of {place.table}: waiting")
            told = True
        _wait_or_refuse(place, deadline, f"the run {holder.owner}")


def _wait_or_refuse(place: WindowPlace, deadline: float, holder: str) -> None:
    if time.monotonic() >= deadline:
        raise Transient(
            f"{holder} is still working on this window",
            where=f"{place.table} window {place.key}",
            next_step="wait for it to end, or cancel it, and run the window again",
        )
    time.sleep(min(POLL_S, max(0.05, deadline - time.monotonic())))


def _holder(bucket: ExportBucket, place: WindowPlace) -> _Holder | None:
    # A listing says "none" in a third of the time that a GET takes to say 404, and mostly there is none.
    body = bucket.get_or_none(place.lease) if any(bucket.list(place.lease)) else None
    return _Holder(**json.loads(body)) if body else None


def _put(bucket: ExportBucket, place: WindowPlace, mine: _Holder, *, only_if_absent: bool) -> bool:
    """Write the lease; False where another run was faster."""
    body = json.dumps(asdict(replace(mine, beat=time.time()))).encode()
    try:
        if only_if_absent:
            bucket.client.put_object(Bucket=bucket.name, Key=place.lease, Body=body, IfNoneMatch="*")
        else:
            bucket.client.put_object(Bucket=bucket.name, Key=place.lease, Body=body)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in (
            "PreconditionFailed",
            "ConditionalRequestConflict",
            "412",
            "409",
        ):
            return False
        raise_aws_error(error, bucket.uri(place.lease))
    except BotoCoreError as error:
        raise_aws_error(error, bucket.uri(place.lease))
    return True


def _beat(lease: Lease, stop: threading.Event) -> None:
    """Renew the lease until told to stop. A beat that fails is tried again with the next; the lease outlives four."""
    while not stop.wait(HEARTBEAT_S):
        try:
            lease.beat()
        except Exception:  # noqa: BLE001, S112 - a heart must not die of one lost beat; the stage's own writes will tell
            continue
