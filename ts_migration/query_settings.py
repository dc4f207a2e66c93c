"""The queries of the configuration: pairs of one question asked of both systems, and how their answers are compared.

What a placeholder may stand in which language is decided here; what is put in its place is in `stages.query_texts`.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ts_migration.config_values import Section, Text

PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
TIME_PLACEHOLDER = re.compile(r"(start|end|anchor|anchor_hour|anchor_day)(?:\s*([+-])\s*(\d+)\s*(ns|us|ms|s|m|h|d|w))?")
TIME_NAMES = ("start", "end", "anchor", "anchor_hour", "anchor_day")
PLACEHOLDERS = {
    "timestream": ("database", "table"),
    "flux": ("bucket", "measurement"),
    "influxql": ("bucket", "measurement"),
}
"""Language -> names that it may hold, beside the times."""

MAX_RUNS = 100
RELATIVE_TOLERANCE = 1e-9
RUNS = 5


def _known_placeholders(language: str, text: str) -> str:
    """The text.

    Raises:
        ValueError: it holds a placeholder that means nothing in its language.
    """
    for found in PLACEHOLDER.findall(text):
        name = found.strip()
        if name not in PLACEHOLDERS[language] and not TIME_PLACEHOLDER.fullmatch(name):
            known = ", ".join(f"{{{{{each}}}}}" for each in (*PLACEHOLDERS[language], *TIME_NAMES))
            raise ValueError(
                f"as placeholders {known}, and times as in {{{{anchor - 24h}}}}; {{{{{found}}}}} is none of them"
            )
    return text


def _number(value: object) -> object:
    """A number; YAML takes `1e-9` for text, and only `1.0e-9` for a number."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Number = Annotated[float, BeforeValidator(_number)]
TimestreamText = Annotated[Text, AfterValidator(lambda text: _known_placeholders("timestream", text))]
FluxText = Annotated[Text, AfterValidator(lambda text: _known_placeholders("flux", text))]
InfluxQLText = Annotated[Text, AfterValidator(lambda text: _known_placeholders("influxql", text))]


class QueryPair(Section):
    """One question in Timestream's SQL and in a language of InfluxDB's, and what makes their answers alike."""

    name: Text
    job: Text | None = None
    """The job whose table is asked, by its job_name; every job's by default."""
    timestream: TimestreamText
    flux: FluxText | None = None
    influxql: InfluxQLText | None = None
    columns: dict[str, Text] = Field(default_factory=dict)
    """Column of Timestream's answer -> that of InfluxDB's, where the names differ."""
    order: Literal["any", "same"] = "any"
    """same: rows must come in the same order; any: they are compared as sets."""
    relative_tolerance: Number = Field(default=RELATIVE_TOLERANCE, ge=0, lt=1)
    """Of floats; integers, times, strings and booleans must be equal."""
    absolute_tolerance: Number = Field(default=0.0, ge=0)
    max_latency_ms: Number | None = Field(default=None, gt=0)
    """Milliseconds that 95 of 100 answers of InfluxDB may take; None: only measured."""
    runs: int = Field(default=RUNS, ge=1, le=MAX_RUNS)
    """How often each system is asked."""

    @model_validator(mode="after")
    def _one_language(self) -> "QueryPair":
        if (self.flux is None) == (self.influxql is None):
            raise ValueError("one of flux and influxql")
        if len(set(self.columns.values())) < len(self.columns):
            raise ValueError("columns that each lead to another column of InfluxDB's answer")
        return self


class QuerySettings(Section):
    """What applies to the queries that every table is asked without being named."""

    default_queries: bool = True
    """Whether every table is asked the two queries of the migration guide."""
    max_latency_ms: Number | None = Field(default=None, gt=0)
    """As of a pair, of the default queries."""
    runs: int = Field(default=RUNS, ge=1, le=MAX_RUNS)
    """As of a pair, of the default queries."""


def pair_problems(pairs: tuple[QueryPair, ...], jobs: tuple[tuple[str, str], ...]) -> list[str]:
    """Mistakes between pairs, and between pairs and jobs; a line each.

    Args:
        pairs: of the configuration.
        jobs: name and slug of every job.
    """
    problems = []
    names = [pair.name for pair in pairs]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            problems.append(f"query {name!r}: name: not allowed; allowed: names that differ; found {names.count(name)}")
    known = {each for job in jobs for each in job}
    for pair in pairs:
        if pair.job is not None and pair.job not in known:
            allowed = ", ".join(repr(name) for name, _ in jobs)
            problems.append(f"query {pair.name!r}: job = {pair.job!r}: not allowed; allowed: {allowed}")
    return problems
