"""The write-ahead log of a bucket: records that are on disk before anybody is told so.

Concurrent writers share one fsync: whoever finds nobody writing leads, the others wait for it. What a record means
belongs to `records`.
"""

import logging
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

from isal import isal_zlib

_FRAME = struct.Struct("<II")
"""Length and CRC-32 of the payload that follows."""

_log = logging.getLogger(__name__)


class LogFailed(OSError):
    """The disk refused a write or an fsync: nothing after it may be acknowledged until the server starts again."""


def log_path(directory: Path, number: int) -> Path:
    """The file of this number."""
    return directory / f"wal-{number:08d}.log"


def sync_directory(directory: Path) -> None:
    """Make names that were added to or removed from a directory durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_log(path: Path) -> Iterator[bytes]:
    """The records of a log file; a torn tail (a record that was never acknowledged) is cut off, with a warning."""
    content = path.read_bytes()
    at = 0
    while at < len(content):
        if at + _FRAME.size > len(content):
            break
        length, checksum = _FRAME.unpack_from(content, at)
        payload = content[at + _FRAME.size : at + _FRAME.size + length]
        if len(payload) < length or isal_zlib.crc32(payload) != checksum:
            break
        yield payload
        at += _FRAME.size + length
    if at < len(content):
        _log.warning("%s: %d bytes of an unfinished write cut off at %d", path, len(content) - at, at)
        with path.open("r+b") as file:
            file.truncate(at)
            os.fsync(file.fileno())


class WriteAheadLog:
    """An append-only log with group commit. `append` orders records, `wait` returns when they are on disk."""

    def __init__(self, directory: Path, number: int) -> None:
        self._directory = directory
        self._ready = threading.Condition()
        self._queue: list[bytes] = []
        self._appended = 0
        self._durable = 0
        self._leading = False
        self._failure: OSError | None = None
        self._open(number)

    def _open(self, number: int) -> None:
        self.number = number
        self.size = 0
        self._file = log_path(self._directory, number).open("ab", buffering=0)
        sync_directory(self._directory)

    def append(self, payload: bytes) -> int:
        """Put a record behind all others; returns the ticket to wait with."""
        frame = _FRAME.pack(len(payload), isal_zlib.crc32(payload))
        with self._ready:
            self._queue += (frame, payload)
            self._appended += 1
            self.size += len(frame) + len(payload)
            return self._appended

    def wait(self, ticket: int) -> None:
        """Return when the record is on disk. Raises LogFailed if the disk refused it."""
        while True:
            with self._ready:
                while True:
                    if self._failure is not None:
                        raise LogFailed(str(self._failure)) from self._failure
                    if self._durable >= ticket:
                        return
                    if not self._leading:
                        break
                    self._ready.wait()
                self._leading = True
                frames, self._queue = self._queue, []
                target = self._appended
            self._lead(frames, target)

    def _lead(self, frames: list[bytes], target: int) -> None:
        failure: OSError | None = None
        try:
            self._write(b"".join(frames))
            os.fsync(self._file.fileno())
        except OSError as error:
            failure = error
        with self._ready:
            self._leading = False
            if failure is None:
                self._durable = target
            else:
                self._failure = failure
            self._ready.notify_all()

    def _write(self, content: bytes) -> None:
        view = memoryview(content)
        while view:
            view = view[self._file.write(view) :]

    def rotate(self) -> None:
        """Finish this file and go on in the next; the caller keeps others from appending meanwhile."""
        self.wait(self._appended)
        self._file.close()
        self._open(self.number + 1)

    def close(self) -> None:
        """Write what is queued and close the file."""
        if self._failure is None:
            self.wait(self._appended)
        self._file.close()
