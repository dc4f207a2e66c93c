"""docs/operations.md as a test reads it: every command line with the lines of output that the document shows of it."""

import re
from dataclasses import dataclass

from ts_migration_tests.embedded_stack import CHECKOUT
from ts_migration_tests.end_to_end.terminal import Said

DOCUMENT = CHECKOUT / "docs" / "operations.md"
SAME = {
    "python scripts/execute_migration.py": "ts-migration execute",
    "python scripts/monitor_migration.py": "ts-migration monitor",
    "python scripts/validate_migration.py": "ts-migration validate",
    " --config my_migration_config.yaml": "",
    " --config plants.yaml": "",
}
"""What the guide calls otherwise, and what need not be typed where the folder has one configuration."""


@dataclass(frozen=True)
class Shown:
    """A command of the document, and what it shows of its output; a line of `…` stands for any number of lines."""

    command: str
    lines: tuple[str, ...]

    def missing_in(self, said: Said) -> list[str]:
        """Lines that a run did not print."""
        printed = {masked(line) for line in said.text.splitlines()}
        return [line for line in self.lines if masked(line) not in printed]


def shown() -> list[Shown]:
    """All of them, in order."""
    found: list[Shown] = []
    for block in re.findall(r"^```console\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = part.splitlines()
            found.append(Shown(command, tuple(line for line in lines if line.strip(" …"))))
    return found


def inline_commands() -> list[str]:
    """Commands that its sentences and tables name."""
    text = re.sub(r"^```.*?^```", "", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`(ts-migration [^`]+)`", text)


def as_command(line: str) -> str:
    """A command line under the one name that the document uses, without what differs from run to run."""
    for other, name in SAME.items():
        line = line.replace(other, name)
    return masked(line)


def masked(line: str) -> str:
    """A line without numbers, times, ids, hosts, folders and the width of columns."""
    line = re.sub(r"\d{8}t\d{4}-[0-9a-f]{4}", "ID", line)
    line = re.sub(r"(?<![\w:/])/(?:[\w.-]+/)+", "/", line)
    line = re.sub(r"(process \d+ on) \S+", r"\1 HOST", line)
    line = re.sub(r"\b[0-9a-f]{16,32}\b", "0", line)
    line = re.sub(r"\d[\d,.:TZ-]*", "0", line)
    line = re.sub(r"0 [kMG]?B\b", "0 B", line)
    return " ".join(line.split())
