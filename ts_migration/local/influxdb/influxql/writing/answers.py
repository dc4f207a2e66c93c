"""A body from statements' rows: gathered into one document, or one document a chunk as the rows come."""

from collections.abc import Callable, Iterator, Sequence

from ts_migration.local.influxdb.influxql.errors import StatementError
from ts_migration.local.influxdb.influxql.frames import Rows, cut
from ts_migration.local.influxdb.influxql.writing.csv_format import CsvFormat
from ts_migration.local.influxdb.influxql.writing.json_format import JsonFormat
from ts_migration.local.influxdb.influxql.writing.msgpack_format import MsgpackFormat
from ts_migration.local.influxdb.influxql.writing.pieces import Format, Outcome, Piece

Run = Callable[[], Rows | None]
"""Executes one statement: its rows, None where it answers none; they too may fail while they are read."""

NOT_EXECUTED = "not executed"
_SENT_TOGETHER, _LARGE = 64, 1_000


def format_for(accept: str | None, epoch: str | None) -> Format:
    """The format that an Accept header names; JSON for anything else, as the server does."""
    match (accept or "").strip():
        case "application/csv" | "text/csv" as content_type:
            return CsvFormat(epoch, content_type)
        case "application/x-msgpack":
            return MsgpackFormat(epoch)
    return JsonFormat(epoch)


def gathered(runs: Sequence[Run], format_: Format, chunk: int) -> bytes:
    """One document of all statements; those behind a failed one are not executed."""
    outcomes: list[Outcome] = []
    for statement, run in enumerate(runs):
        if outcomes and outcomes[-1].error is not None:
            outcomes.append(Outcome(statement, error=NOT_EXECUTED))
            continue
        outcome = Outcome(statement)
        try:
            for piece in _pieces(run(), format_, chunk):
                _append(outcome.pieces, piece)
        except StatementError as error:
            outcome = Outcome(statement, error=str(error))
        outcomes.append(outcome)
    return format_.document(outcomes)


def _append(pieces: list[Piece], piece: Piece) -> None:
    """Add a piece, to the series before it if that one goes on."""
    if pieces and pieces[-1].partial and pieces[-1].name == piece.name and pieces[-1].tags == piece.tags:
        last = pieces[-1]
        last.rows += piece.rows
        last.count += piece.count
        last.partial = piece.partial
    else:
        pieces.append(piece)


def chunked(runs: Sequence[Run], format_: Format, chunk: int) -> Iterator[bytes]:
    """One document for every piece, sent as soon as it is known whether another follows."""
    failed = False
    for statement, run in enumerate(runs):
        if failed:
            yield format_.document([Outcome(statement, error=NOT_EXECUTED)])
            continue
        try:
            yield from _documents(statement, run(), format_, chunk)
        except StatementError as error:
            failed = True
            yield format_.document([Outcome(statement, error=str(error))])


def _documents(statement: int, rows: Rows | None, format_: Format, chunk: int) -> Iterator[bytes]:
    chained = rows is not None and rows.chained
    held: Piece | None = None
    ready: list[bytes] = []
    for piece in _pieces(rows, format_, chunk):
        if held is not None:
            ready.append(format_.document([Outcome(statement, [held], partial=chained)]))
            if len(ready) >= _SENT_TOGETHER or held.count >= _LARGE:
                yield b"".join(ready)
                ready = []
        held = piece
    last = Outcome(statement, [] if held is None else [held])
    yield b"".join([*ready, format_.document([last])])


def _pieces(rows: Rows | None, format_: Format, chunk: int) -> Iterator[Piece]:
    for frame in () if rows is None else rows.frames:
        yield from format_.pieces(cut(frame, chunk))
