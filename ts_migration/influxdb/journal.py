"""A load's acknowledgements on this machine's disk, one line each, written before the next body is taken.

A page of the ledger in S3 is written every few seconds; what a killed process had acknowledged since is here. A journal
counts only together with the page that it is named by: once that is gone (the ledger was emptied), so is its word.
Power failures may lose its last lines, which then are sent again.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ts_migration.influxdb.bodies import Delivered, RefusedLine

_SUFFIX = ".journal"


@dataclass
class Journal:
    """The journal of one page.

    Attributes:
        folder: of this machine; made when something is written.
        page: last part of the page's key, unique.
    """

    folder: Path
    page: str
    _file: int | None = field(default=None, repr=False)

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / f"{self.page.removesuffix('.json')}{_SUFFIX}"

    def add(self, delivered: Delivered) -> None:
        """Append one acknowledgement by one write, which survives the process."""
        if self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        entry = {
            "n": delivered.number,
            "l": delivered.lines,
            "r": [[each.line, each.reason] for each in delivered.refused],
        }
        os.write(self._file, (json.dumps(entry, separators=(",", ":")) + "\n").encode())

    def read(self) -> Iterator[Delivered]:
        """What was acknowledged. A last line that was cut off is not, nor one that a power failure has spoiled."""
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        for each in text.split("\n")[:-1]:
            try:
                entry = json.loads(each)
                refused = tuple(RefusedLine(entry["n"], line, reason) for line, reason in entry["r"])
                yield Delivered(entry["n"], entry["l"], refused)
            except (ValueError, KeyError, TypeError):
                continue  # sent again, which changes nothing

    def close(self) -> None:
        """Release the file; it stays."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def delete(self) -> None:
        """Release and delete it: the page says everything that it says."""
        self.close()
        self.path.unlink(missing_ok=True)
