"""Which stage a value's trail blames, for every way in which the four places can agree and differ."""

import pytest

from ts_migration.validation.trails import NOTHING, Kind, Place, Seen, Suspect, Trail
from ts_migration.validation.verdict import Stage

A, B, C, GONE = (
    Seen(1, "1.0 (float)"),
    Seen(2, "2.0 (float)"),
    Seen(3, "3.0 (float)"),
    Seen(unseen="its files are gone"),
)


def trail(*seen: Seen, intact: bool | None = True) -> Trail:
    suspect = Suspect(Kind.CHANGED, 1, 0, "load,plant=x mw", {"plant": "x"}, {})
    return Trail(suspect, dict(zip(Place, seen, strict=True)), intact)


@pytest.mark.parametrize(
    ("seen", "intact", "stage", "words"),
    [
        ((A, A, A, B), True, Stage.LOAD, "; broken by the load"),
        ((A, A, B, B), True, Stage.CONVERSION, "; broken by the conversion"),
        ((A, B, B, B), False, Stage.EXPORT, "; broken by the export"),
        ((A, B, B, B), True, Stage.SOURCE, "(another version of the row): the files are as UNLOAD wrote them"),
        ((A, NOTHING, NOTHING, NOTHING), True, Stage.SOURCE, "(a late arrival): the files are as UNLOAD wrote them"),
        ((NOTHING, A, A, A), True, Stage.SOURCE, "(expired or deleted): the files are as UNLOAD wrote them"),
        ((A, B, B, B), None, Stage.EXPORT, "or the source changed after it: UNLOAD's own manifest is not kept"),
        ((A, NOTHING, NOTHING, A), True, Stage.SOURCE, "(a late arrival): the files are as UNLOAD wrote them"),
        ((NOTHING, A, A, B), True, Stage.SOURCE, "as UNLOAD wrote them, and by the load as well"),
        ((A, A, B, C), True, Stage.CONVERSION, "; broken by the conversion, and by the load as well"),
        ((A, A, GONE, B), True, None, "line protocol not looked at (its files are gone), bucket has 2.0 (float)"),
        ((A, GONE, GONE, B), None, None, "bucket has 2.0 (float)"),
        ((A, A, GONE, A), True, None, "bucket has 1.0 (float)"),
        ((GONE, A, A, NOTHING), True, Stage.LOAD, "bucket has nothing; broken by the load"),
    ],
)
def test_the_first_link_where_a_value_changes_is_to_blame(
    seen: tuple[Seen, ...], intact: bool | None, stage: Stage | None, words: str
) -> None:
    found = trail(*seen, intact=intact)
    assert found.stage is stage
    assert found.line.startswith("changed: load,plant=x mw at 1970-01-01T00:00:00Z: Timestream ")
    assert found.line.endswith(words)
