"""What queries cost: how many there were and what they scanned, added up while their pages pass. No prices here."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from ts_migration.timestream.query import Page, TimestreamQuery

LEAST_BILLED_BYTES = 10_000_000
"""Timestream bills a query for at least 10 MB [pricing page]."""


class Meter:
    """Queries and bytes, counted by all threads that ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.queries = 0
        self.scanned_bytes = 0
        self.billed_bytes = 0
        """At least: a query that scans less than 10 MB counts as 10 MB."""

    def add(self, scanned_bytes: int) -> None:
        """One query has ended, or was left."""
        with self._lock:
            self.queries += 1
            self.scanned_bytes += scanned_bytes
            self.billed_bytes += max(scanned_bytes, LEAST_BILLED_BYTES)


@dataclass
class MeteredQuery(TimestreamQuery):
    """Queries that are counted by a meter."""

    meter: Meter = field(default_factory=Meter)

    def pages(self, sql: str) -> Iterator[Page]:
        """As of `TimestreamQuery`; the last page's bytes are the query's."""
        scanned = 0
        try:
            for page in super().pages(sql):
                scanned = max(scanned, page.bytes_scanned)
                yield page
        finally:
            self.meter.add(scanned)
