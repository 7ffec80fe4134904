"""Functions for FunctionTransformer: of a module, so that pipelines with them can be pickled."""

from __future__ import annotations

import numpy as np
import pandas as pd


def _each(x, function, **options):
    frame = pd.DataFrame(x)
    return frame.apply(lambda column: column.map(function), **options)


def log_of_size(x):
    return np.log1p(np.abs(np.asarray(x, dtype=float)))


def is_positive(x):
    return (np.asarray(x, dtype=float) > 0).astype(float)


def as_float(x):
    return np.asarray(x, dtype=float)


def length(x):
    return _each(x, lambda text: float(len(str(text)))).to_numpy(dtype=float)


def words(x):
    return _each(x, lambda text: float(len(str(text).split()))).to_numpy(dtype=float)


def first_letter(x):
    return _each(x, lambda text: str(text)[:1]).to_numpy(dtype=object)


def upper(x):
    return _each(x, lambda text: str(text).upper()).to_numpy(dtype=object)


def number_in_text(x):
    """A text of digits as its number; 0 for any other text."""

    def number(text):
        return float(text) if isinstance(text, str) and text.isdecimal() else 0.0

    return _each(x, number).to_numpy(dtype=float)


def date_parts(x):
    """Year, month and weekday of dates, or of texts that are dates; zeros for others."""
    parts = []
    frame = pd.DataFrame(x)
    for j in range(frame.shape[1]):
        dates = pd.to_datetime(frame.iloc[:, j], format="%Y-%m-%d", errors="coerce")
        parts += [dates.dt.year, dates.dt.month, dates.dt.weekday]
    return np.nan_to_num(np.column_stack(parts).astype(float))


def day_parts(x):
    """Weekday and month-like cycle of days since an epoch."""
    days = np.nan_to_num(np.asarray(x, dtype=float))
    return np.hstack([np.mod(days, 7), np.floor(np.mod(days, 365) / 30)])
