"""A question as it is asked: both its texts, how the answers are compared, and how often and how fast.

Made of the configured pairs here, and of the migration guide's queries in `default_queries`.
"""

from dataclasses import dataclass
from typing import Literal

from ts_migration.query_settings import QueryPair
from ts_migration.stages.query_texts import QueryPlace, flux_text, influxql_text, timestream_text
from ts_migration.validation.query_answers import AnswerRules


@dataclass(frozen=True, slots=True)
class Question:
    """One question to both systems.

    Attributes:
        name: of the pair, with what it is limited to.
        sql: Timestream's text.
        language: of the other text.
        text: InfluxDB's text.
        rules: what makes the answers alike.
        max_latency_ms: limit for InfluxDB's 95th percentile, if any.
        runs: how often each system is asked.
    """

    name: str
    sql: str
    language: Literal["flux", "influxql"]
    text: str
    rules: AnswerRules
    max_latency_ms: float | None
    runs: int


def configured_question(pair: QueryPair, place: QueryPlace) -> Question:
    """A pair of the configuration about one table."""
    return Question(
        name=pair.name,
        sql=timestream_text(pair.timestream, place),
        language="influxql" if pair.flux is None else "flux",
        text=influxql_text(pair.influxql or "", place) if pair.flux is None else flux_text(pair.flux, place),
        rules=AnswerRules(pair.columns, pair.order == "same", pair.relative_tolerance, pair.absolute_tolerance),
        max_latency_ms=pair.max_latency_ms,
        runs=pair.runs,
    )
