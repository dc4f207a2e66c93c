"""UNLOAD's WITH (…): which options there are, what they may be, what belongs together (facts: timestream 1.1, 1.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from ts_migration.local.timestream.catalog import ColumnInfo
from ts_migration.local.timestream.sql.cursor import Cursor
from ts_migration.local.timestream.sql.refusal import SqlRefused
from ts_migration.local.timestream.sql.statements import (
    UnloadCompression,
    UnloadEncryption,
    UnloadFormat,
    UnloadOptions,
)

_MEBIBYTE = 1024**2
_SMALLEST, _LARGEST = 16 * _MEBIBYTE, 78 * 1024 * _MEBIBYTE
_CSV_ONLY = ("field_delimiter", "escaped_by", "include_header")
_OPTIONS = ("partitioned_by", "format", "compression", "encryption", "kms_key", *_CSV_ONLY, "max_file_size")


def read_options(cursor: Cursor, columns: Sequence[ColumnInfo]) -> UnloadOptions:
    """Read the WITH clause if there is one, and check it against the select list. SqlRefused: it is not allowed."""
    options, given = UnloadOptions(), set[str]()
    if not cursor.take_word("WITH"):
        return options
    start = cursor.current.at
    cursor.expect_symbol("(")
    while True:
        at, name = cursor.current.at, cursor.name().lower()
        if name not in _OPTIONS:
            raise cursor.source.refuse(at, f"UNLOAD has no option '{name}'; allowed are {', '.join(_OPTIONS)}")
        if name in given:
            raise cursor.source.refuse(at, f"UNLOAD option '{name}' is given twice")
        given.add(name)
        cursor.expect_symbol("=")
        options = _with(cursor, options, name)
        if not cursor.take_symbol(","):
            break
    cursor.expect_symbol(")")
    try:
        _check(options, given, columns)
    except ValueError as error:
        raise cursor.source.refuse(start, str(error)) from None
    return options


def _with(cursor: Cursor, options: UnloadOptions, name: str) -> UnloadOptions:
    at = cursor.current.at
    value: Any
    if name == "partitioned_by":
        return replace(options, partitioned_by=_names(cursor))
    text = cursor.string()
    try:
        value = _value(name, text)
    except ValueError as error:
        raise _refused(cursor, at, name, text, str(error)) from None
    return replace(options, **{name: value})


def _value(name: str, text: str) -> object:
    """The value of an option; a ValueError says what is allowed."""
    match name:
        case "format":
            return _choice(UnloadFormat, text)
        case "compression":
            return _choice(UnloadCompression, text)
        case "encryption":
            return _choice(UnloadEncryption, text)
        case "include_header":
            if text.lower() not in ("true", "false"):
                raise ValueError("'true' or 'false'")
            return text.lower() == "true"
        case "max_file_size":
            return _size(text)
        case "kms_key":
            if not text:
                raise ValueError("a key id or ARN")
            return text
        case _:
            if len(text) != 1 or not text.isascii():
                raise ValueError("a single ASCII character")
            return text


def _choice(kind: type[UnloadFormat] | type[UnloadCompression] | type[UnloadEncryption], text: str) -> object:
    try:
        return kind(text.upper())
    except ValueError:
        raise ValueError(" or ".join(f"'{choice.value}'" for choice in kind)) from None


def _size(text: str) -> int:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(MB|GB)", text.strip(), re.IGNORECASE)
    allowed = "a size between '16MB' and '78GB'"
    if match is None:
        raise ValueError(allowed)
    unit = _MEBIBYTE if match.group(2).upper() == "MB" else 1024 * _MEBIBYTE
    size = int(Fraction(match.group(1)) * unit)
    if not _SMALLEST <= size <= _LARGEST:
        raise ValueError(allowed)
    return size


def _names(cursor: Cursor) -> tuple[str, ...]:
    cursor.expect_word("ARRAY")
    cursor.expect_symbol("[")
    names = [cursor.string()]
    while cursor.take_symbol(","):
        names.append(cursor.string())
    cursor.expect_symbol("]")
    return tuple(names)


def _refused(cursor: Cursor, at: int, name: str, text: str, allowed: str) -> SqlRefused:
    return cursor.source.refuse(at, f"UNLOAD option '{name}' is '{text}'; allowed is {allowed}")


def _check(options: UnloadOptions, given: set[str], columns: Sequence[ColumnInfo]) -> None:
    """What must hold between options and select list; a ValueError says what does not."""
    if options.format is not UnloadFormat.CSV:
        for name in _CSV_ONLY:
            if name in given:
                raise ValueError(f"UNLOAD option '{name}' is for format CSV only")
    if (options.kms_key is not None) != (options.encryption is UnloadEncryption.SSE_KMS):
        raise ValueError("UNLOAD option 'kms_key' belongs to encryption 'SSE_KMS', and that needs it")
    if options.format is UnloadFormat.CSV and options.field_delimiter in ('"', "\n", "\r"):
        raise ValueError("UNLOAD option 'field_delimiter' cannot be the quote or a line break")
    if options.format is UnloadFormat.CSV and options.field_delimiter == options.escaped_by:
        raise ValueError("UNLOAD options 'field_delimiter' and 'escaped_by' must differ")
    partitions = options.partitioned_by
    if len(set(partitions)) != len(partitions):
        raise ValueError("a column is named twice in partitioned_by")
    names = [column.name for column in columns]
    for partition in partitions:
        if partition not in names:
            raise ValueError(f"partitioned_by column '{partition}' is not in the select list")
    if partitions and len(partitions) >= len(names):
        raise ValueError("UNLOAD needs a column that is not in partitioned_by")
    if partitions and tuple(names[-len(partitions) :]) != partitions:
        raise ValueError("partitioned_by columns must be the last columns of the select list, in the same order")
