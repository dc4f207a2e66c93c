"""Writing to Timestream: databases, tables and WriteRecords, with retries and errors that teach.

What a record looks like is in `records`; which rows are written is the affair of `stages.restore`.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from ts_migration.errors import Missing, Permanent, Refused, Transient
from ts_migration.objects import aws_error
from ts_migration.timestream.query import Retries
from ts_migration.timestream.records import Record

if TYPE_CHECKING:
    from mypy_boto3_timestream_write.client import TimestreamWriteClient

RECORDS_A_REQUEST = 100
"""Most records that WriteRecords takes [API reference, WriteRecords]."""
LONGEST_RETENTION_DAYS = 73_000
"""Longest retention of the magnetic store [API reference, RetentionProperties]."""
MEMORY_HOURS = 1
"""Retention of the memory store of a table made here, the shortest: what is written is old."""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class TableSettings:
    """What a table is set to: days of its magnetic store, hours of its memory store, and whether late records pass."""

    magnetic_days: int
    memory_hours: int
    takes_late_records: bool

    def takes(self, age_ns: int) -> bool:
        """Whether a record of this age is stored."""
        hours = self.magnetic_days * 24 if self.takes_late_records else self.memory_hours
        return age_ns < hours * 3_600 * 10**9


@dataclass
class Ingestion:
    """Timestream's write API of one table.

    Args:
        client: a `timestream-write` client; threads share it.
        database, table: what is written to.
        version: Version of every record. Written again with the same version and values, a record stays as it is.
        retries: of what may pass.
        writers: requests at a time.
        sleep: waits; tests pass their own.
    """

    client: "TimestreamWriteClient"
    database: str
    table: str
    version: int = 1
    retries: Retries = field(default_factory=Retries)
    writers: int = 8
    sleep: Callable[[float], None] = time.sleep

    @property
    def name(self) -> str:
        """`database.table`."""
        return f"{self.database}.{self.table}"

    def settings(self) -> TableSettings | None:
        """What the table is set to; None where there is no such table.

        Raises:
            MigrationError: Timestream cannot be asked.
        """
        try:
            answer: Any = self._call(
                lambda: self.client.describe_table(DatabaseName=self.database, TableName=self.table)["Table"]
            )
        except Missing:
            return None
        retention = answer["RetentionProperties"]
        late = bool(answer.get("MagneticStoreWriteProperties", {}).get("EnableMagneticStoreWrites"))
        return TableSettings(
            retention["MagneticStoreRetentionPeriodInDays"], retention["MemoryStoreRetentionPeriodInHours"], late
        )

    def create(self, magnetic_days: int) -> None:
        """Make the table, which takes records of any age within its retention, and its database where there is none.

        Raises:
            MigrationError: Timestream refused.
        """
        self._made(lambda: self.client.create_database(DatabaseName=self.database))
        self._made(
            lambda: self.client.create_table(
                DatabaseName=self.database,
                TableName=self.table,
                RetentionProperties={
                    "MemoryStoreRetentionPeriodInHours": MEMORY_HOURS,
                    "MagneticStoreRetentionPeriodInDays": magnetic_days,
                },
                MagneticStoreWriteProperties={"EnableMagneticStoreWrites": True},
            )
        )

    def write(self, records: Iterable[Record], on_batch: Callable[[int], None] = lambda _: None) -> int:
        """Send records, a hundred a request, several requests at a time; how many were stored.

        Args:
            records: taken as they are needed.
            on_batch: told how many records an answered request had.

        Raises:
            Refused: Timestream stored all of a request but the records that the message names.
            Transient: Timestream failed for now, retries are used up; all of it may be sent again.
            Permanent: it refused the request.
        """
        stored = 0
        pending: set[Future[int]] = set()
        with ThreadPoolExecutor(self.writers, thread_name_prefix="timestream-write") as pool:
            try:
                for batch in _batches(iter(records)):
                    if len(pending) >= 2 * self.writers:
                        ended, pending = wait(pending, return_when=FIRST_COMPLETED)
                        stored += _told(ended, on_batch)
                    pending.add(pool.submit(self._send, batch))
                stored += _told(pending, on_batch)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return stored

    def _send(self, batch: list[Record]) -> int:
        try:
            self._call(
                lambda: self.client.write_records(
                    DatabaseName=self.database,
                    TableName=self.table,
                    CommonAttributes={"TimeUnit": "NANOSECONDS", "Version": self.version},
                    Records=batch,  # type: ignore[arg-type]
                )
            )
        except Rejections as error:
            raise error.taught(self.name, batch) from None
        return len(batch)

    def _made(self, call: Callable[[], object]) -> None:
        try:
            self._call(call)
        except _Exists:
            return

    def _call(self, call: Callable[[], Answer]) -> Answer:
        retry = 0
        while True:
            try:
                return call()
            except (ClientError, BotoCoreError) as error:
                mapped = _mapped(error, self.name)
                if not isinstance(mapped, Transient):
                    raise mapped from error
                if retry >= self.retries.attempts:
                    mapped.exhausted = True
                    raise mapped from error
            retry += 1
            self.sleep(self.retries.pause(retry, mapped, random.random))


class _Exists(Permanent):
    """A database or table of that name is there already."""


class Rejections(Permanent):
    """Records of one request that Timestream did not store: position, reason and, where there is one, held version."""

    def __init__(self, rejected: Sequence[dict[str, Any]]) -> None:
        super().__init__(f"Timestream rejected {len(rejected):,} records")
        self.rejected = tuple(rejected)

    def taught(self, name: str, batch: Sequence[Record]) -> Refused:
        """The error for people: how many, the first one with its reason, and the way out."""
        first = self.rejected[0]
        record = batch[first["RecordIndex"]]
        what = f"{record['MeasureName']!r} at {record['Time']} ns: {first.get('Reason', 'no reason')}"
        held = [each["ExistingVersion"] for each in self.rejected if "ExistingVersion" in each]
        return Refused(
            f"Timestream rejected {len(self.rejected):,} of {len(batch):,} records of a request; the first, {what}",
            where=name,
            next_step=f"the table holds other values there: --record-version {max(held) + 1} writes over them, or "
            "restore into another table"
            if held
            else "change the table so that it takes such records, or restore into another one; then the same again",
        )


def _batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    while batch := list(islice(records, RECORDS_A_REQUEST)):
        yield batch


def _told(futures: Iterable[Future[int]], on_batch: Callable[[int], None]) -> int:
    return sum(_each_told(futures, on_batch))


def _each_told(futures: Iterable[Future[int]], on_batch: Callable[[int], None]) -> Iterator[int]:
    for each in futures:
        on_batch(each.result())
        yield each.result()


def _mapped(error: ClientError | BotoCoreError, where: str) -> Exception:
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code == "RejectedRecordsException":
            told: Any = error.response
            return Rejections(told.get("RejectedRecords") or [{"RecordIndex": 0}])
        if code == "ConflictException":
            return _Exists("it is there already", where=where)
    return aws_error(error, where)
