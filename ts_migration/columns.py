"""Columns of a frame by their very names. Only that: which columns there are is said by schemas and mappings."""

import polars as pl
from polars import selectors


def named(name: str) -> pl.Expr:
    """The one column of this name.

    `pl.col` takes `*` for every column and `^…$` for a regular expression: a name in Timestream may be either, and the
    column `^x$` would be written with the values of the column `x`.
    """
    if is_pattern(name):
        return selectors.by_name(name).as_expr()
    return pl.col(name)


def series_of(frame: pl.DataFrame, name: str) -> pl.Series:
    """The column as a series of another name: methods of a series look it up by its own, as `pl.col` does."""
    return frame[name].alias("values")


def is_pattern(name: str) -> bool:
    """Whether polars, and what builds on it, takes a column's name for a pattern."""
    return name == "*" or (name.startswith("^") and name.endswith("$"))
