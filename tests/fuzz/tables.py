"""Random tables: columns of every dtype, with the values that a row may hold beyond training's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float32", "float64")
NULLABLE = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt32", "UInt64", "Float32", "Float64")

LABELS = (
    ("no", "yes"),
    ("no", "yes", "unknown"),
    ("north", "south", "east", "west", "centre"),
    ("NA", "null", "None", "nan", "x"),
    ("01234", "1234", "99", "007"),
    ("a,b", 'say "so"', "été", "two words", "Z"),
    ("u", "v", "w", "x", "y", "z", "zz", "zzz"),
    ("true", "false", "maybe"),
)
STRANGERS = ("never seen", "", "NO", "Yes", "0", "naïve ☃", "a" * 300, "NaN", " no")
WORDS = (
    "good",
    "bad",
    "slow",
    "fast",
    "red",
    "blue",
    "tram",
    "bus",
    "late",
    "early",
    "not",
    "very",
)


@dataclass(frozen=True, eq=False)
class Column:
    """One column.

    Parameters
    ----------
    kind : number, boolean, label (few texts), prose, digits, date text, date, days or category.
    values : what the model is fitted with, (n_rows,).
    signal : float64 (n_rows,), what the target depends on.
    strangers : values that the dtype allows and training lacks.
    """

    name: str
    kind: str
    values: pd.Series
    signal: np.ndarray
    strangers: tuple[Any, ...]

    @property
    def gaps(self) -> bool:
        return bool(self.values.isna().any())

    def draw(self, rng: np.random.Generator, n: int) -> pd.Series:
        """Draw values (n,) from the whole domain, with the dtype of training."""
        known = self.values.drop_duplicates().tolist()
        picked = [
            self.strangers[rng.integers(len(self.strangers))]
            if self.strangers and rng.random() < 0.35
            else known[rng.integers(len(known))]
            for _ in range(n)
        ]
        dtype: Any = self.values.dtype
        if isinstance(dtype, pd.CategoricalDtype):
            known = dtype.categories.tolist()
            more = [v for v in dict.fromkeys(picked) if not pd.isna(v) and v not in known]
            dtype = pd.CategoricalDtype([*known, *more], dtype.ordered) if more else dtype
        return pd.Series(picked, dtype=dtype, name=self.name)


def table(
    rng: np.random.Generator, n_rows: int, n_columns: int, kinds: Sequence[str]
) -> list[Column]:
    """Draw columns of some of the kinds."""
    return [
        COLUMNS[kinds[int(rng.integers(len(kinds)))]](rng, f"c{j}", n_rows)
        for j in range(n_columns)
    ]


def frame_of(columns: Sequence[Column]) -> pd.DataFrame:
    return pd.DataFrame({column.name: column.values for column in columns})


def _ranked(values: pd.Series) -> np.ndarray:
    """A signal in [-1, 1] for values of any type; 0 for missing ones."""
    codes = pd.factorize(values, sort=False)[0] if values.dtype.kind not in "iuf" else values
    ranks = pd.Series(np.asarray(codes, dtype=float)).rank(pct=True).fillna(0.5)
    return 2 * ranks.to_numpy() - 1


def _with_gaps(rng: np.random.Generator, values: list[Any], gap: Any, share: float) -> list[Any]:
    return [gap if rng.random() < share else value for value in values]


def number(rng: np.random.Generator, name: str, n: int) -> Column:
    dtype = str(rng.choice([*INTEGERS, *FLOATS, *FLOATS, *FLOATS, *NULLABLE]))
    integral = "nt" in dtype
    plain = dtype.lower()
    if integral:
        limits = np.iinfo(plain)
        low = int(rng.choice([0, max(limits.min, -3), max(limits.min, -100)]))
        width = int(rng.choice([2, 7, 60]))
        drawn: list[Any] = rng.integers(low, low + width, n).tolist()
        middle = low + width // 2
        beyond: list[Any] = [low - 1, low + width, low + 3 * width, limits.min, limits.max, middle]
        beyond = [value for value in beyond if limits.min <= value <= limits.max]
    else:
        scale, offset = rng.choice([1e-3, 1.0, 50.0, 1e4]), rng.choice([0.0, 0.0, 3.0, 1e4])
        floats = offset + scale * rng.normal(size=n)
        if rng.random() < 0.3:
            floats = np.round(floats / scale) * scale
        if rng.random() < 0.2:
            floats = np.abs(floats)
        drawn = floats.astype(plain).tolist()
        spread = float(np.ptp(floats))
        largest = float(np.finfo(plain).max)
        beyond = [
            floats.min() - spread,
            floats.max() + spread,
            floats.mean() + spread / 7,
            0.0,
            -0.0,
        ]
        beyond += [1e6, -1e6, 5e-324 if plain == "float64" else 1e-45]
        beyond += [1e30, largest, -largest] if rng.random() < 0.2 else []
        beyond = np.array(beyond).astype(plain).tolist()
    gap: Any = pd.NA if dtype[0].isupper() else np.nan
    if not integral or gap is pd.NA:
        share = float(rng.choice([0, 0, 0.1, 0.3]))
        drawn = _with_gaps(rng, drawn, gap, share)
        beyond.append(gap)
    values = pd.Series(drawn, dtype=dtype, name=name)
    plain_values = pd.Series(values.to_numpy(dtype=float, na_value=np.nan))
    return Column(name, "number", values, _ranked(plain_values), tuple(beyond))


def boolean(rng: np.random.Generator, name: str, n: int) -> Column:
    flags = (rng.random(n) < 0.4).tolist()
    dtype = str(rng.choice(["bool", "bool", "boolean", "object"]))
    beyond: tuple[Any, ...] = ()
    if dtype != "bool" and rng.random() < 0.5:
        gap = pd.NA if dtype == "boolean" else None
        flags, beyond = _with_gaps(rng, flags, gap, 0.1), (gap,)
    values = pd.Series(flags, dtype=dtype, name=name)
    signal = np.array([0.0 if pd.isna(flag) else 2.0 * flag - 1 for flag in flags])
    return Column(name, "boolean", values, signal, beyond)


def label(rng: np.random.Generator, name: str, n: int) -> Column:
    vocabulary = LABELS[rng.integers(len(LABELS))]
    chances = rng.dirichlet(np.ones(len(vocabulary)) * 2)
    texts: list[Any] = [vocabulary[k] for k in rng.choice(len(vocabulary), n, p=chances)]
    gap = None if rng.random() < 0.5 else np.nan
    share = float(rng.choice([0, 0, 0.1, 0.3]))
    dtype: Any = "object" if rng.random() < 0.5 else "str"
    texts = _with_gaps(rng, texts, gap, share)
    values = pd.Series(texts, dtype=dtype, name=name)
    strangers = tuple(text for text in STRANGERS if text not in vocabulary)
    return Column(name, "label", values, _ranked(values), (*strangers, gap))


def prose(rng: np.random.Generator, name: str, n: int) -> Column:
    def sentence() -> str:
        return " ".join(rng.choice(WORDS, int(rng.integers(1, 7))))

    texts = [sentence() for _ in range(n)]
    values = pd.Series(texts, dtype="object" if rng.random() < 0.5 else "str", name=name)
    signal = np.array([text.count("good") - text.count("bad") for text in texts], dtype=float)
    new = (*(sentence() + " good good" for _ in range(4)), "unheard of", "", "GOOD Tram", "été 12")
    return Column(name, "prose", values, signal, new)


def digits(rng: np.random.Generator, name: str, n: int) -> Column:
    texts = [f"{number:05d}" for number in rng.integers(0, 3000, n)]
    values = pd.Series(texts, dtype="str", name=name)
    return Column(
        name, "digits", values, _ranked(values.astype(float)), ("00001", "99999", "x1", "7")
    )


def _dates(rng: np.random.Generator, n: int) -> pd.DatetimeIndex:
    return pd.Timestamp("2021-01-04") + pd.to_timedelta(rng.integers(0, 900, n), unit="D")


def date_text(rng: np.random.Generator, name: str, n: int) -> Column:
    dates = _dates(rng, n)
    values = pd.Series(dates.strftime("%Y-%m-%d"), dtype="str", name=name)
    strangers = ("1999-12-31", "2024-02-29", "2030-06-01", "no date", "2021-13-01")
    return Column(name, "date text", values, dates.weekday.to_numpy() / 3 - 1.0, strangers)


def date(rng: np.random.Generator, name: str, n: int) -> Column:
    dates = _dates(rng, n)
    strangers = (pd.Timestamp("1999-12-31"), pd.Timestamp("2030-06-01"))
    return Column(
        name, "date", pd.Series(dates, name=name), dates.weekday.to_numpy() / 3.0, strangers
    )


def days(rng: np.random.Generator, name: str, n: int) -> Column:
    counted = rng.integers(18_000, 19_500, n)
    dtype = str(rng.choice(["int16", "int64", "float64"]))
    values = pd.Series(counted, dtype=dtype, name=name)
    return Column(name, "days", values, np.mod(counted, 7) / 3 - 1.0, (0, 25_000, 17_999))


def category(rng: np.random.Generator, name: str, n: int) -> Column:
    """A pandas category: of texts, whole numbers or floats, perhaps ordered, unused or missing."""
    kind = rng.choice(["text", "text", "integer", "float"], p=[0.4, 0.25, 0.28, 0.07])
    vocabulary: list[Any]
    strangers: tuple[Any, ...]
    if kind == "integer":
        vocabulary = [int(v) for v in rng.permutation(12)[: rng.integers(2, 7)]]
        strangers = (77,)
    elif kind == "float":
        vocabulary, strangers = [0.0, 1.0, 2.0, 5.0], (9.0,)
    else:
        vocabulary, strangers = list(LABELS[rng.integers(len(LABELS))]), ("never seen",)
    n_unused = int(rng.random() < 0.35)
    used = vocabulary[: len(vocabulary) - n_unused] if len(vocabulary) > 2 else vocabulary
    drawn: list[Any] = [used[k] for k in rng.integers(0, len(used), n)]
    drawn = _with_gaps(rng, drawn, np.nan, float(rng.choice([0, 0, 0.1])))
    dtype = pd.CategoricalDtype(vocabulary, ordered=bool(rng.random() < 0.3))
    values = pd.Series(pd.Categorical(drawn, dtype=dtype), name=name)
    beyond: list[Any] = [value for value in vocabulary if value not in used]
    beyond += [np.nan] if rng.random() < 0.5 else []
    beyond += strangers if rng.random() < 0.25 else ()
    return Column(name, "category", values, _ranked(values.astype(object)), tuple(beyond))


COLUMNS: dict[str, Callable[[np.random.Generator, str, int], Column]] = {
    "number": number,
    "boolean": boolean,
    "label": label,
    "prose": prose,
    "digits": digits,
    "date text": date_text,
    "date": date,
    "days": days,
    "category": category,
}
