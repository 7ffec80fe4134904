"""Times as numbers: how a column of datetimes is read into codes and written back.

A code counts units of the column's own dtype since 1970, in UTC where the dtype has a time zone.
Nanoseconds are counted in microseconds, because a float64 does not hold those of this century. In
JSON and CSV a time is ISO 8601, with an offset where the dtype has a time zone, else without.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["iso_text", "limits", "parsed_times", "time_series", "time_unit", "time_zone"]

_DTYPE = re.compile(
    r"(?:datetime64|timestamp)\[(s|ms|us|ns)(?:, (?:tz=)?([^\]]+))?\](?:\[pyarrow\])?"
)
_TOO_FINE = re.compile(r"[.,]\d{6}0*[1-9]")
_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds"}
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 of times without a zone
_FIRST, _LAST = -62_135_596_800, 253_402_300_799  # seconds of the years 1 and 9999


def time_unit(dtype: str) -> str | None:
    """The unit of codes, `s`, `ms` or `us`; None for a dtype that is not of times."""
    match = _DTYPE.fullmatch(dtype)
    return None if match is None else "us" if match[1] == "ns" else match[1]


def time_zone(dtype: str) -> str | None:
    """The time zone's name, where the dtype has one."""
    match = _DTYPE.fullmatch(dtype)
    return match and match[2]


def limits(dtype: str) -> tuple[float, float]:
    """The least and the greatest code: the years 1 and 9999, or what nanoseconds reach."""
    if "[ns" in dtype:
        return -float(2**63 // 1000), float(2**63 // 1000)
    per_second = 1_000_000 // _MICROSECONDS[time_unit(dtype) or "s"]
    return float(_FIRST * per_second), float(_LAST * per_second)


def parsed_times(
    values: Sequence[Any] | NDArray[Any], dtype: str
) -> tuple[NDArray[np.float64], dict[int, str]]:
    """Read times into codes (n_rows,), NaN where one is missing or breaks a rule.

    Parameters
    ----------
    values : datetime64 (n_rows,), or texts, datetimes and None.
    dtype : the column's.

    Returns
    -------
    The codes, and per row the rule that it breaks.
    """
    unit = time_unit(dtype)
    assert unit is not None  # noqa: S101 the caller's choice
    zoned = time_zone(dtype) is not None
    if isinstance(values, np.ndarray) and values.dtype.kind == "M" and not zoned:
        counted = values.astype(f"M8[{unit}]")
        codes = counted.astype(np.int64).astype(np.float64)
        codes[np.isnat(values)] = np.nan
        fine = np.flatnonzero((counted != values) & ~np.isnat(values))
        return codes, dict.fromkeys(fine.tolist(), f"must be in whole {_NAMES[unit]}")
    codes, broken = np.full(len(values), np.nan), {}
    for row, value in enumerate(values):
        if value is None or type(value).__name__ in {"NaTType", "NAType"}:
            continue
        code, rule = _code(value, unit, zoned=zoned)
        codes[row] = code
        if rule:
            broken[row] = rule
    return codes, broken


def _code(value: Any, unit: str, *, zoned: bool) -> tuple[float, str]:
    """One time as a code, and the rule that it breaks ('' for none)."""
    if isinstance(value, float) and math.isnan(value):
        return math.nan, ""
    time = _time(value)
    if time is None or (isinstance(value, str) and _TOO_FINE.search(value)):
        return math.nan, "must be a time in ISO 8601, to the microsecond at most"
    if zoned != (time.tzinfo is not None):
        rule = "must have an offset from UTC" if zoned else "must have no offset from UTC"
        return math.nan, rule
    microseconds = (time - (_EPOCH.replace(tzinfo=UTC) if zoned else _EPOCH)) // timedelta(
        microseconds=1
    )
    count, rest = divmod(microseconds, _MICROSECONDS[unit])
    if rest or getattr(value, "nanosecond", 0):
        return math.nan, f"must be in whole {_NAMES[unit]}"
    if int(float(count)) != count:
        return math.nan, "must be a time that a 64-bit float holds exactly"
    return float(count), ""


def _time(value: Any) -> datetime | None:
    if isinstance(value, np.datetime64):
        value = value.astype("M8[us]").item()
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 a date has no zone
    try:
        return datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
    except ValueError:
        return None


def iso_text(code: float, dtype: str) -> str:
    """A code as ISO 8601."""
    unit = time_unit(dtype)
    time = _EPOCH + timedelta(microseconds=int(code) * _MICROSECONDS[unit or "s"])
    return (time.replace(tzinfo=UTC) if time_zone(dtype) else time).isoformat()


def time_series(codes: NDArray[np.float64], dtype: str) -> Any:
    """Codes (n_rows,) as a pandas column of its dtype.

    Raises
    ------
    ValueError
        A code is beyond every time.
    """
    import pandas as pd

    missing = np.isnan(codes)
    if not (np.abs(codes[~missing]) < 2.0**63).all():
        raise ValueError("a time is out of range")
    times = np.where(missing, 0, codes).astype(np.int64).astype(f"M8[{time_unit(dtype)}]")
    times[missing] = np.datetime64("NaT")
    series = pd.Series(times)
    name: Any = dtype
    return (series.dt.tz_localize("UTC") if time_zone(dtype) else series).astype(name)
