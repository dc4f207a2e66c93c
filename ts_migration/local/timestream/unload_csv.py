"""CSV text as UNLOAD writes it, made by column: escaping, quoting, and the texts of numbers and times.

Here belong bytes of lines. Files and compression do not. Rules (facts 1.5): the quote is always ``"`` and stands round
values that need it; a quote inside is escaped, never doubled; the escape character is escaped with or without quotes.
What the service's pages leave open is decided here: NULL and the empty string are both an empty field, and a value
with a line break is quoted.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ts_migration.local.timestream.sql.rendering import java_double

_QUOTE = '"'
_LINE_END = "\n"
_CHARACTERS_OF_VALUES = frozenset("0123456789+-.: ENINaftrueslsy")
_PLAIN_LOW, _PLAIN_HIGH = 1e-3, 1e7


@dataclass(frozen=True, slots=True)
class CsvDialect:
    """The delimiter, the escape character, and whether there is a header line."""

    delimiter: str = ","
    escape: str = "\\"
    header: bool = False


def csv_header(names: list[str], dialect: CsvDialect) -> bytes:
    """The header line; names are quoted as values are."""
    fields = _quoted(pa.array(names, type=pa.string()), dialect)
    return (dialect.delimiter.join(fields.to_pylist()) + _LINE_END).encode()


def csv_lines(batch: pa.RecordBatch, dialect: CsvDialect) -> bytes:
    """The lines of a batch of rows."""
    if not batch.num_rows:
        return b""
    fields = [_field(column, dialect) for column in batch.columns]
    fields[-1] = pc.binary_join_element_wise(fields[-1], "", _LINE_END)
    lines = pc.binary_join_element_wise(*fields, dialect.delimiter) if len(fields) > 1 else fields[0]
    # The value buffer of a computed string array is its texts one after the other: the lines themselves.
    return bytes(memoryview(lines.buffers()[2])[: pc.sum(pc.binary_length(lines)).as_py()])


def _field(column: pa.Array, dialect: CsvDialect) -> pa.Array:
    """A column's texts as they stand between delimiters; NULL is empty."""
    if not pa.types.is_string(column.type):
        texts = double_text(column) if pa.types.is_floating(column.type) else column.cast(pa.string())
        # Numbers, times and booleans hold nothing special, unless the dialect makes one of their characters so.
        if not {dialect.delimiter, dialect.escape} & _CHARACTERS_OF_VALUES:
            return texts.fill_null("")
        return _quoted(texts, dialect).fill_null("")
    encoded = column.dictionary_encode()
    if len(encoded.dictionary) * 2 > len(column):
        return _quoted(column, dialect).fill_null("")
    # Tags repeat: each distinct text is quoted once.
    return _quoted(encoded.dictionary, dialect).take(encoded.indices).fill_null("")


def _quoted(texts: pa.Array, dialect: CsvDialect) -> pa.Array:
    """Texts with their special characters escaped, in quotes where they hold a delimiter, a quote or a line break."""
    special = (dialect.delimiter, _QUOTE, "\n", "\r")
    needs = pc.match_substring(texts, special[0])
    for character in special[1:]:
        needs = pc.or_(needs, pc.match_substring(texts, character))
    escaped = texts
    for character in dict.fromkeys((dialect.escape, _QUOTE)):
        escaped = pc.replace_substring(escaped, character, dialect.escape + character)
    if not pc.any(needs).as_py():
        return escaped
    return pc.if_else(needs, pc.binary_join_element_wise(_QUOTE, escaped, _QUOTE, ""), escaped)


def double_text(values: pa.Array) -> pa.Array:
    """Doubles as the service prints them, which is Java's way: ``35.5``, ``1.0E7``, ``1.6554878837710001E9``.

    The shortest digits that read back as the same double; an exponent below 0.001 and from 10,000,000.
    """
    size = pc.abs(values)
    plain = pc.and_(pc.greater_equal(size, _PLAIN_LOW), pc.less(size, _PLAIN_HIGH))
    plain = pc.fill_null(pc.or_(plain, pc.equal(size, 0.0)), True)
    texts = values.cast(pa.string())
    fraction = pc.match_substring(texts, ".")
    texts = pc.if_else(fraction, texts, pc.binary_join_element_wise(texts, "0", "."))
    if pc.all(plain).as_py():
        return texts
    rest = values.filter(pc.invert(plain)).dictionary_encode()
    # Rare sizes, each distinct value once.
    spelt = pa.array([java_double(value) for value in rest.dictionary.to_pylist()], type=pa.string())
    return pc.replace_with_mask(texts, pc.invert(plain), spelt.take(rest.indices))
