"""Seconds and rates of stages, of one window and of all windows of a table together."""

from collections.abc import Sequence

from pydantic import Field

from ts_migration.reporting.values import ResultValue
from ts_migration.stages.work import StageName, StageWork, Unit


class StageResult(ResultValue):
    """One stage: of a window its last work, of a table the sum over its windows."""

    stage: StageName
    seconds: float = Field(description="Seconds of the last work; of a table the sum, not the clock on the wall.")
    count: int = Field(description="Rows exported, rows converted, points written or values compared.")
    unit: Unit = Field(description="What is counted.")
    bytes: int | None = Field(
        description="Parquet exported, line protocol before compression, compressed bytes sent; null for the checks."
    )
    per_second: float | None = Field(
        description="`count` per second of one worker; null where a load went on from where another had stopped."
    )
    bytes_per_second: float | None = Field(description="`bytes` per second of one worker; null as `per_second`.")


def stage_result(works: Sequence[StageWork]) -> StageResult:
    """One stage's result from the same stage of one window or of several. Rates are of the windows that have one."""
    first, timed = works[0], [work for work in works if work.whole and work.seconds > 0]
    seconds = sum(work.seconds for work in timed)
    sized = [work.bytes for work in works if work.bytes is not None]
    return StageResult(
        stage=first.stage,
        seconds=round(sum(work.seconds for work in works), 3),
        count=sum(work.count for work in works),
        unit=first.unit,
        bytes=sum(sized) if sized else None,
        per_second=round(sum(work.count for work in timed) / seconds, 1) if seconds else None,
        bytes_per_second=round(sum(work.bytes or 0 for work in timed) / seconds, 1) if seconds and sized else None,
    )


def stage_results(works: Sequence[StageWork]) -> tuple[StageResult, ...]:
    """A result per stage that has run, in the order of the stages."""
    by_stage: dict[StageName, list[StageWork]] = {"export": [], "line_protocol": [], "load": [], "verdicts": []}
    for work in works:
        by_stage[work.stage].append(work)
    return tuple(stage_result(found) for found in by_stage.values() if found)
