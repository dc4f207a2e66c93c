"""The open data of ONS as an independent reader sees it: Python's csv, datetime and float, nothing of the product."""

import csv
import gzip
import io
import lzma
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """One row: its two dimensions, its time (ns; read as UTC, for the files name no offset) and its texts by column."""

    id: str
    name: str
    time: int
    texts: dict[str, str]


def rows_of(path: Path) -> Iterator[Row]:
    """Rows of a file of ONS's, in the order of the file."""
    for body in _bodies(path):
        for cells in csv.DictReader(io.StringIO(body.decode("utf-8")), delimiter=";"):
            # The balance files spell it so.
            key = cells.pop("id_subsistena", None) or cells.pop("id_subsistema")
            name, at = cells.pop("nom_subsistema"), cells.pop("din_instante")
            yield Row(key, name, time_ns(at), cells)


def time_ns(text: str) -> int:
    """ns of `2023-01-01 00:00:00`, UTC, by integers."""
    passed = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) - EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000_000


def _bodies(path: Path) -> Iterator[bytes]:
    if path.name.endswith(".csv.gz"):
        yield gzip.decompress(path.read_bytes())
    elif path.name.endswith(".tar.xz"):
        with lzma.open(path) as stream, tarfile.open(fileobj=stream) as archive:
            for member in archive:
                body = archive.extractfile(member)
                if body:
                    yield body.read()
    else:
        yield path.read_bytes()
