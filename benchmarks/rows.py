"""One row of the table of figures: a part of the product held against its limit in the same run.

Every benchmark module has `measure(runs) -> list[Row]`; `__main__` runs each in its own process and joins the rows.
"""

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Row:
    """A figure against what bounds it.

    Attributes:
        part: what of the product is measured, such as `convert`.
        against: the limit it is held against, in words.
        value: the part's figure, a median over the runs.
        limit: the limit's figure, a median over the same runs.
        unit: of both, such as `lines/s`.
        ratio: the median over the runs of each run's own ratio: noise that slows both cancels out.
        budget: the smallest (or, where less is better, largest) ratio or value allowed, in words; "" where none is set.
        met: whether the budget holds; None where none is set.
        runs: how many.
    """

    part: str
    against: str
    value: float
    limit: float
    unit: str
    ratio: float
    budget: str = ""
    met: bool | None = None
    runs: int = 1


def compared(
    part: str, against: str, values: list[float], limits: list[float], unit: str, at_least: float | None = None
) -> Row:
    """A row of rates (more is better): run by run against the limit, which ran beside it."""
    ratio = median(value / limit for value, limit in zip(values, limits, strict=True))
    return Row(
        part,
        against,
        median(values),
        median(limits),
        unit,
        ratio,
        "" if at_least is None else f"ratio at least {at_least:g}",
        None if at_least is None else ratio >= at_least,
        len(values),
    )


def bounded(part: str, against: str, values: list[float], at_most: float, unit: str) -> Row:
    """A row of a cost (less is better) held against a fixed bound."""
    value = median(values)
    return Row(
        part, against, value, at_most, unit, value / at_most, f"at most {at_most:g}", value <= at_most, len(values)
    )
