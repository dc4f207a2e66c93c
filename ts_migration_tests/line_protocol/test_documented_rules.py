"""docs/line-protocol.md tells the truth: its snippet runs, its lines are read as it says, and no reason is missing."""

import contextlib
import io
import json
import re

import pytest

from ts_migration.line_protocol.rejects import Reason
from ts_migration_tests.embedded_stack import CHECKOUT
from ts_migration_tests.line_protocol.reference_storage import Value, write

TEXT = (CHECKOUT / "docs" / "line-protocol.md").read_text(encoding="utf-8")
LINES = re.findall(r"^\| `(m.*)` \| (\d+|dies) \| (\d+|dies) \| `(.*)` \|$", TEXT, re.MULTILINE)


def test_the_lines_of_the_document_are_found() -> None:
    assert len(LINES) == TEXT.split("## Lines and what", 1)[1].split("\n## ", 1)[0].count("\n| `")
    assert len(LINES) > 20


@pytest.mark.parametrize(("line", "older", "newer", "told"), LINES)
def test_a_line_of_the_document_becomes_what_it_says(line: str, older: str, newer: str, told: str) -> None:
    outcomes = [write(f"{line}\n".encode(), version) for version in ("2.7.11", "2.9.1")]
    assert [str(outcome.status or "dies") for outcome in outcomes] == [older, newer]
    if not told.startswith("["):
        assert all(told in " ".join(outcome.reasons) for outcome in outcomes)
        return
    for outcome in outcomes:
        (((measurement, tags), _),) = outcome.rows
        (fields,) = outcome.rows.values()
        named = {key.decode(): value.decode() for key, value in tags}
        assert [
            measurement.decode(),
            named,
            {key.decode(): _text(value) for key, value in fields.items()},
        ] == json.loads(told)


def test_the_snippet_prints_what_the_document_shows() -> None:
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    shown = re.search(r"```text\n(.*?)```", TEXT, re.DOTALL)
    assert code and shown
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code[1], {})
    assert printed.getvalue() == shown[1]


def test_every_reason_of_the_quarantine_is_explained_and_no_other() -> None:
    table = TEXT.split("| reason |", 1)[1].split("\n\n", 1)[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == [reason.name.lower() for reason in Reason]


def _text(value: Value) -> object:
    return value.decode() if isinstance(value, bytes) else value
