"""Numbers and times as Go prints them, whole columns at a time.

Rules: strconv.FormatFloat with the shortest digits ('f' in CSV; encoding/json turns to exponents below 1e-6 and from
1e21), time.RFC3339Nano. A value outside the range in which polars prints the same takes the slow way, one by one.
"""

from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

_PLAIN_FROM, _PLAIN_BELOW = 1e-4, 1e15
_DIVISORS = {"u": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9}


def plain_float(value: float) -> str:
    """One float without an exponent."""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def json_float(value: float) -> str:
    """One float as encoding/json writes it."""
    size = abs(value)
    if size == 0 or 1e-6 <= size < 1e21:
        return plain_float(value)
    digits, _, exponent = repr(value).partition("e")
    if not exponent:
        # repr keeps to plain notation where Go does not.
        digits, _, exponent = format(Decimal(digits), "E").lower().partition("e")
    mantissa = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return f"{mantissa}e{int(exponent):+d}"


def floats(values: npt.NDArray[np.float64], *, exponents: bool) -> pl.Series:
    """Floats as texts; `exponents` as JSON has them."""
    texts = pl.Series(values).cast(pl.String).str.strip_suffix(".0")
    size = np.abs(values)
    odd = np.flatnonzero(~(((size >= _PLAIN_FROM) & (size < _PLAIN_BELOW)) | (size == 0)))
    if len(odd):
        one = json_float if exponents else plain_float
        texts = texts.scatter(odd.tolist(), [one(value) for value in values[odd].tolist()])
    return texts


def integers(values: npt.NDArray[Any]) -> pl.Series:
    """Integers as texts."""
    return pl.Series(values).cast(pl.String)


def epoch_times(times: npt.NDArray[np.int64], epoch: str) -> npt.NDArray[np.int64]:
    """Times in the unit that was asked for, cut towards zero; an unknown unit is ns."""
    divisor = _DIVISORS.get(epoch, 1)
    return times if divisor == 1 else np.sign(times) * (np.abs(times) // divisor)


def rfc3339(times: npt.NDArray[np.int64]) -> pl.Series:
    """Times in UTC with as many digits behind the second as they need."""
    texts = pl.Series(times).cast(pl.Datetime("ns")).dt.strftime("%Y-%m-%dT%H:%M:%S%.9f")
    return texts.str.replace(r"\.?0+$", "") + "Z" if len(texts) else texts
