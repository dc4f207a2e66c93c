"""Asking a table's questions of both systems, so often as they say: answers compared, latencies measured.

Which questions there are is in `questions` and `default_queries`; what they come to in `validation.query_verdicts`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.errors import MigrationError, Permanent, Transient
from ts_migration.influxdb.answers import flux_answer, influxql_answer
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.retries import RetryPolicy, retrying
from ts_migration.manifests import VerdictRecord, fingerprint
from ts_migration.objects import ExportBucket
from ts_migration.stages.default_queries import default_questions, default_unasked
from ts_migration.stages.proof import TableProof, WindowStatus
from ts_migration.stages.query_scope import find_place, find_scope
from ts_migration.stages.questions import Question, configured_question
from ts_migration.stages.table import frozen_mapping
from ts_migration.timestream.answers import timestream_answer
from ts_migration.timestream.description import describe
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.validation.query_answers import compare_answers
from ts_migration.validation.query_verdicts import Latencies, QueryResult, query_verdicts

MOST_ROWS = 100_000
"""Rows of an answer above which it is not compared."""


@dataclass(frozen=True, slots=True)
class TableQueries:
    """What asking a table's questions came to.

    Attributes:
        questions: as they were asked.
        results: question by question.
        unasked: why questions that every table is asked were not.
        kept_out: whether windows of the table only passed, so that rows may be missing for a reason that is known.
        accepted: whether somebody accepted all of those windows.
    """

    questions: tuple[Question, ...] = ()
    results: tuple[QueryResult, ...] = ()
    unasked: tuple[str, ...] = ()
    kept_out: bool = False
    accepted: bool = False

    @property
    def verdicts(self) -> tuple[VerdictRecord, VerdictRecord]:
        """query_equivalence and query_performance."""
        return query_verdicts(self.results, self.unasked, kept_out=self.kept_out, accepted=self.accepted)


def ask_queries(
    config: MigrationConfig,
    job: MigrationJob,
    proof: TableProof,
    bucket: ExportBucket,
    target: Target,
    query: TimestreamQuery,
) -> TableQueries:
    """Ask all questions about a job's table.

    Raises:
        Missing: the table was not begun, or Timestream does not know it.
        Transient: a system failed for now. What fails for good is the result of its question.
    """
    if not job.validation_enabled:
        return TableQueries(unasked=("validation_enabled is false: nothing is asked",))
    questions, unasked = _questions(config, job, proof, bucket, query)
    settings = config.migration_settings
    policy = RetryPolicy(settings.max_retry_attempts, settings.retry_delay_seconds)
    asker = Asker(query, target, job.target_bucket, policy)
    results = tuple(asker.result(question) for question in questions)
    kept_out = proof.status is WindowStatus.PASSED
    return TableQueries(tuple(questions), results, tuple(unasked), kept_out, accepted=kept_out and proof.cleared)


def queries_fingerprint(config: MigrationConfig, job: MigrationJob) -> str:
    """Fingerprint of all that the configuration says of a table's queries."""
    pairs = [pair.model_dump(mode="json") for pair in config.queries_of(job)]
    return fingerprint(pairs, config.query_settings.model_dump(mode="json"))


def _questions(
    config: MigrationConfig, job: MigrationJob, proof: TableProof, bucket: ExportBucket, query: TimestreamQuery
) -> tuple[list[Question], list[str]]:
    questions: list[Question] = []
    pairs = config.queries_of(job)
    if not pairs and not config.query_settings.default_queries:
        return [], ["`queries` names none for this table, and query_settings.default_queries is false"]
    found = find_place(job, proof, query)
    if found.place is None:
        return [], [found.problem]
    unasked: list[str] = []
    if config.query_settings.default_queries:
        mapping = frozen_mapping(job, config.place(job), bucket)
        schema = describe(query, job.source_database, job.source_table)
        numeric = find_scope(job, proof, schema, mapping, query)
        if numeric.scope is None or numeric.place is None:
            unasked.append(numeric.problem)
        else:
            questions += default_questions(numeric.place, mapping, numeric.scope, config.query_settings)
            unasked += default_unasked(numeric.place, numeric.scope)
    questions += [configured_question(pair, found.place) for pair in pairs]
    return questions, unasked


@dataclass(frozen=True, slots=True)
class Asker:
    """Both systems, for questions about one bucket."""

    query: TimestreamQuery
    target: Target
    bucket: str
    policy: RetryPolicy

    def result(self, question: Question) -> QueryResult:
        """Ask a question as often as it says; the first answers are compared, all are timed.

        Raises:
            Transient: a system failed for now.
        """
        source_ms, target_ms = [], []
        answers: tuple[pl.DataFrame, pl.DataFrame] | None = None
        for _ in range(question.runs):
            try:
                source, milliseconds = _timed(lambda: timestream_answer(self.query, question.sql, MOST_ROWS))
                source_ms.append(milliseconds)
                target, milliseconds = retrying(lambda: _timed(lambda: self.target_answer(question)), self.policy)
                target_ms.append(milliseconds)
            except Transient:
                raise
            except MigrationError as error:
                who = "InfluxDB" if len(target_ms) < len(source_ms) else "Timestream"
                return self._result(question, source_ms, target_ms, problem=f"{who} did not answer: {error}")
            answers = answers or (source, target)
        return self._result(question, source_ms, target_ms, answers)

    def target_answer(self, question: Question) -> pl.DataFrame:
        """InfluxDB's answer.

        Raises:
            Permanent: refused, or an answer that cannot be compared.
            Transient: it failed for now.
        """
        if question.language == "influxql":
            return influxql_answer(self.target, self.bucket, question.text, MOST_ROWS)
        answer = flux_answer(self.target, question.text)
        if len(answer) > MOST_ROWS:
            raise Permanent(f"the answer has more than {MOST_ROWS:,} rows", where=self.target.url)
        return answer

    @staticmethod
    def _result(
        question: Question,
        source_ms: list[float],
        target_ms: list[float],
        answers: tuple[pl.DataFrame, pl.DataFrame] | None = None,
        problem: str = "",
    ) -> QueryResult:
        return QueryResult(
            question.name,
            comparison=compare_answers(*answers, question.rules) if answers else None,
            problem=problem,
            source=Latencies(tuple(source_ms)),
            target=Latencies(tuple(target_ms)),
            max_latency_ms=question.max_latency_ms,
            tolerance=question.rules.tolerance,
        )


def _timed(ask: Callable[[], pl.DataFrame]) -> tuple[pl.DataFrame, float]:
    """An answer, and the ms that it took to its last row."""
    began = time.perf_counter()
    answer = ask()
    return answer, (time.perf_counter() - began) * 1_000
