"""String functions, counted in code points as Trino counts, and functions of arrays."""

from __future__ import annotations

import re

from ts_migration.local.timestream.catalog import ArrayType, DataType, ScalarType
from ts_migration.local.timestream.sql.coercion import coerce, common_type
from ts_migration.local.timestream.sql.operators import concatenate
from ts_migration.local.timestream.sql.signatures import BadArguments, Function, constant_text, count, one_type, wanted
from ts_migration.local.timestream.sql.typed import INTEGERS, Typed, failure, let, text

S = ScalarType

_WHITE_SPACE = text(
    "".join(map(chr, [9, 10, 11, 12, 13, 28, 29, 30, 31, 32, 0x1680, *range(0x2000, 0x2007), 0x2008, 0x2009, 0x200A]))
    + "".join(map(chr, [0x2028, 0x2029, 0x205F, 0x3000]))
)
"""What Java's Character.isWhitespace calls so, which is what trim takes away."""

_FROM_ONE = "'Index must be greater than zero'"
_ARRAYS_FROM_ONE = "'SQL array indices start at 1'"
_SAME_LENGTH = "'The input strings to hamming_distance function must have the same length'"
_ONE_CHARACTER = "'Input string must be a single character string'"

_I = S.BIGINT
_V = S.VARCHAR


def _plain(name: str, template: str, result: DataType, *types: DataType) -> Function:
    def function(arguments: list[Typed], _now: int) -> Typed:
        values = wanted(name, arguments, *types)
        return Typed(let(tuple(values), template.format), result)

    return function


def _concat(arguments: list[Typed], _now: int) -> Typed:
    count("concat", arguments, 2, 10_000)
    found = arguments[0]
    for argument in arguments[1:]:
        found = concatenate(found, argument)
    return found


def _substring(arguments: list[Typed], _now: int) -> Typed:
    """A start of 0 and one before the beginning give an empty text; a negative start counts from the end."""
    values = wanted("substr", arguments, _V, *[_I] * max(1, len(arguments) - 1))
    count("substr", arguments, 2, 3)

    def body(value: str, start: str, length: str | None = None) -> str:
        nothing = f"{start} = 0 OR {start} < -length({value})"
        if length is None:
            return f"CASE WHEN {nothing} THEN '' ELSE substr({value}, {start}) END"
        return f"CASE WHEN {nothing} OR {length} <= 0 THEN '' ELSE substr({value}, {start}, {length}) END"

    return Typed(let(tuple(values), body), _V)


def _pad(name: str) -> Function:
    def function(arguments: list[Typed], _now: int) -> Typed:
        values = wanted(name, arguments, _V, _I, _V)

        def body(value: str, size: str, fill: str) -> str:
            range_ = failure("'Target length must be in the range [0..2147483647]'", _V)
            padding = failure("'Padding string must not be empty'", _V)
            refused = f"WHEN {size} < 0 OR {size} > 2147483647 THEN {range_} WHEN {fill} = '' THEN {padding}"
            return f"CASE {refused} ELSE {name}({value}, CAST({size} AS INTEGER), {fill}) END"

        return Typed(let(tuple(values), body), _V)

    return function


def _replace(arguments: list[Typed], _now: int) -> Typed:
    count("replace", arguments, 2, 3)
    if constant_text("replace", arguments, 1) == "":
        raise BadArguments("replace", arguments, "replacing the empty text is not supported")
    values = wanted("replace", arguments, *[_V] * len(arguments))
    replacement = values[2].sql if len(values) == 3 else "''"
    return Typed(f"replace({values[0].sql}, {values[1].sql}, {replacement})", _V)


_SHARED_PATTERN = re.compile(r"(?:(?:[A-Za-z0-9 _-]|\\[^A-Za-z0-9\s])[+*?]?)+(?:\\z)?")
"""Patterns that Java's engine and RE2 read alike: letters, digits, escaped punctuation, repetition, the text's end."""


def _regexp_replace(arguments: list[Typed], _now: int) -> Typed:
    """All matches replaced; only by constants whose meaning does not depend on the engine."""
    count("regexp_replace", arguments, 2, 3)
    values = wanted("regexp_replace", arguments, *[_V] * len(arguments))
    pattern = constant_text("regexp_replace", arguments, 1)
    if not _SHARED_PATTERN.fullmatch(pattern):
        told = "allowed is a constant of letters, digits, escaped punctuation, + * ? and \\z at the end"
        raise BadArguments("regexp_replace", arguments, told)
    replacement = constant_text("regexp_replace", arguments, 2) if len(values) == 3 else ""
    if set(replacement) & {"$", "\\"}:
        raise BadArguments("regexp_replace", arguments, "allowed is a constant replacement without $ and backslash")
    by = values[2].sql if len(values) == 3 else "''"
    return Typed(f"regexp_replace({values[0].sql}, {values[1].sql}, {by}, 'g')", _V)


def _split(arguments: list[Typed], _now: int) -> Typed:
    count("split", arguments, 2)
    _delimiter("split", arguments)
    value, delimiter = wanted("split", arguments, _V, _V)
    return Typed(f"string_split({value.sql}, {delimiter.sql})", ArrayType(_V))


def _split_part(arguments: list[Typed], _now: int) -> Typed:
    count("split_part", arguments, 3)
    _delimiter("split_part", arguments)
    values = wanted("split_part", arguments, _V, _V, _I)

    def body(value: str, delimiter: str, index: str) -> str:
        refused = f"CASE WHEN {index} < 1 THEN {failure(_FROM_ONE, _V)}"
        return f"{refused} ELSE string_split({value}, {delimiter})[{index}] END"

    return Typed(let(tuple(values), body), _V)


def _delimiter(name: str, arguments: list[Typed]) -> None:
    if constant_text(name, arguments, 1) == "":
        raise BadArguments(name, arguments, "The delimiter may not be the empty string")


def _instance(name: str) -> Function:
    """strpos and strrpos without their third argument."""

    def function(arguments: list[Typed], _now: int) -> Typed:
        value, needle = wanted(name, arguments, _V, _V)
        if name == "strpos":
            return Typed(f"strpos({value.sql}, {needle.sql})", _I)

        def body(v: str, n: str) -> str:
            places = f"list_filter(range(1, length({v}) + 1), lambda w: starts_with(substr({v}, w), {n}))"
            return f"CASE WHEN {n} = '' THEN 1 WHEN {n} IS NOT NULL THEN COALESCE(list_max({places}), 0) END"

        return Typed(let((value, needle), body), _I)

    return function


def _array(name: str, arguments: list[Typed], index: int = 0) -> DataType:
    found = arguments[index].type
    if not isinstance(found, ArrayType):
        raise BadArguments(name, arguments)
    return found.element


def _cardinality(arguments: list[Typed], _now: int) -> Typed:
    count("cardinality", arguments, 1)
    _array("cardinality", arguments)
    return Typed(f"len({arguments[0].sql})", _I)


def _element_at(arguments: list[Typed], _now: int) -> Typed:
    """The element, from the end for a negative index, NULL beyond either end."""
    count("element_at", arguments, 2)
    element = _array("element_at", arguments)
    if arguments[1].type not in INTEGERS:
        raise BadArguments("element_at", arguments)
    zero = f"CASE WHEN {{1}} = 0 THEN {failure(_ARRAYS_FROM_ONE, element)}"
    beyond = " WHEN {1} < -len({0}) THEN NULL"
    return Typed(let(tuple(arguments), (zero + beyond + " ELSE {0}[{1}] END").format), element)


def _contains(arguments: list[Typed], _now: int) -> Typed:
    """Whether an element is in the array; NULL if it is not and the array holds a NULL."""
    count("contains", arguments, 2)
    element = _array("contains", arguments)
    target = common_type(element, arguments[1].type)
    if target is None or target is S.DOUBLE or not isinstance(target, ScalarType):
        raise BadArguments("contains", arguments)
    array, wanted_element = coerce(arguments[0], ArrayType(target)), coerce(arguments[1], target)

    def body(a: str, x: str) -> str:
        found = f"CASE WHEN {a} IS NULL OR {x} IS NULL THEN NULL WHEN list_contains({a}, {x}) THEN TRUE"
        return f"{found} WHEN len(list_filter({a}, lambda w: w IS NULL)) > 0 THEN NULL ELSE FALSE END"

    return Typed(let((array, wanted_element), body), S.BOOLEAN)


def _array_join(arguments: list[Typed], _now: int) -> Typed:
    count("array_join", arguments, 2)
    if _array("array_join", arguments) is not _V or arguments[1].type is not _V:
        raise BadArguments("array_join", arguments)
    return Typed(f"array_to_string({arguments[0].sql}, {arguments[1].sql})", _V)


def _array_of_same(name: str, template: str) -> Function:
    def function(arguments: list[Typed], _now: int) -> Typed:
        count(name, arguments, 1)
        element = _array(name, arguments)
        if not isinstance(element, ScalarType) or element is S.DOUBLE:
            raise BadArguments(name, arguments, "only arrays of ordered scalar values are supported")
        return Typed(template.format(arguments[0].sql), arguments[0].type)

    return function


def _levenshtein(arguments: list[Typed], _now: int) -> Typed:
    first, second = one_type("levenshtein_distance", wanted("levenshtein_distance", arguments, _V, _V))
    ascii_only = "CASE WHEN length({0}) = strlen({0}) AND length({1}) = strlen({1}) THEN levenshtein({0}, {1})"
    refused = " WHEN {0} IS NOT NULL AND {1} IS NOT NULL"
    message = "'levenshtein_distance of texts that are not ASCII is not supported'"
    refused += f" THEN {failure(message, _I)} END"
    return Typed(let((first, second), (ascii_only + refused).format), _I)


_HAMMING = (
    "CASE WHEN length({0}) <> length({1})"
    f" THEN {failure(_SAME_LENGTH, _I)}"
    " ELSE len(list_filter(range(1, length({0}) + 1), lambda w: substr({0}, w, 1) <> substr({1}, w, 1))) END"
)
_CODEPOINT = (
    "CASE WHEN length({0}) = 1 THEN unicode({0})"
    f" WHEN {{0}} IS NOT NULL THEN {failure(_ONE_CHARACTER, S.INTEGER)} END"
)

_UPPER = (
    "CASE WHEN contains({0}, 'ß') THEN array_to_string(list_transform(string_split({0}, 'ß'), lambda w: upper(w)), 'ß')"
    " ELSE upper({0}) END"
)
"""Java leaves ß as it is, letter by letter; DuckDB makes it ẞ."""
_REVERSE = (
    "CASE WHEN length({0}) = strlen({0}) THEN reverse({0}) WHEN {0} IS NOT NULL"
    " THEN array_to_string(list_transform(range(length({0}), 0, -1), lambda w: substr({0}, w, 1)), '') END"
)
"""By code points, where DuckDB's own keeps what is one character to a reader together."""

STRING_FUNCTIONS: dict[str, Function] = {
    "concat": _concat,
    "length": _plain("length", "length({0})", _I, _V),
    "lower": _plain("lower", "lower({0})", _V, _V),
    "upper": _plain("upper", _UPPER, _V, _V),
    "trim": _plain("trim", f"trim({{0}}, {_WHITE_SPACE})", _V, _V),
    "ltrim": _plain("ltrim", f"ltrim({{0}}, {_WHITE_SPACE})", _V, _V),
    "rtrim": _plain("rtrim", f"rtrim({{0}}, {_WHITE_SPACE})", _V, _V),
    "reverse": _plain("reverse", _REVERSE, _V, _V),
    "lpad": _pad("lpad"),
    "rpad": _pad("rpad"),
    "replace": _replace,
    "regexp_replace": _regexp_replace,
    "split": _split,
    "split_part": _split_part,
    "strpos": _instance("strpos"),
    "strrpos": _instance("strrpos"),
    "substr": _substring,
    "substring": _substring,
    "starts_with": _plain("starts_with", "starts_with({0}, {1})", S.BOOLEAN, _V, _V),
    "chr": _plain("chr", "chr(CAST({0} AS INTEGER))", _V, _I),
    "codepoint": _plain("codepoint", _CODEPOINT, S.INTEGER, _V),
    "levenshtein_distance": _levenshtein,
    "hamming_distance": _plain("hamming_distance", _HAMMING, _I, _V, _V),
    "cardinality": _cardinality,
    "element_at": _element_at,
    "contains": _contains,
    "array_join": _array_join,
    "array_sort": _array_of_same("array_sort", "list_sort({0}, 'ASC', 'NULLS LAST')"),
}
