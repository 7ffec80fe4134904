"""One case from one seed: a table, a fitted model, the rows it is explained with, rows to score."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline

from tests.fuzz.estimators import KINDS, Kind, Task
from tests.fuzz.pipelines import array_pipeline, pick, pipeline
from tests.fuzz.tables import Column, frame_of, table

ATTEMPTS = 60
MOST_COLUMNS = 300
EVERY = (*["number"] * 15, *["boolean"] * 4, *["label"] * 12, *["category"] * 8, *["prose"] * 4,
         *["digits"] * 3, *["date text"] * 3, *["days"] * 3, "date")  # fmt: skip
NATIVE = ("number", "number", "boolean", "category", "category")
NUMERIC = ("number", "number", "boolean", "days")


@dataclass(frozen=True)
class Size:
    """How large tables are: the most training rows and columns, rows to score, rows of a sample."""

    training: int
    columns: int
    rows: int
    samples: tuple[int, ...]


USUAL = Size(200, 5, 20, (20, 20, 40, 80, 200))
SMALL = Size(90, 3, 12, (20, 20, 30, 90))


@dataclass(frozen=True, eq=False)
class Case:
    """One case.

    Parameters
    ----------
    name : the kind of the final estimator.
    training : what the model was fitted with, a DataFrame or an array.
    sample : training rows that it is explained with.
    rows : rows to score, drawn from the whole domain, like `training`.
    options, distil : of TabularExplainer and KernelScoringExplainer.
    """

    seed: int
    name: str
    kind: Kind
    task: Task
    model: Any
    columns: tuple[Column, ...]
    training: Any
    target: np.ndarray
    sample: Any
    rows: Any
    options: dict[str, Any] = field(default_factory=dict)
    distil: dict[str, Any] = field(default_factory=dict)

    @property
    def is_frame(self) -> bool:
        return isinstance(self.training, pd.DataFrame)

    @property
    def float32(self) -> bool:
        """Whether the model may compute in float32."""
        dtypes = self.training.dtypes if self.is_frame else [self.training.dtype]
        names = {str(dtype).lower() for dtype in dtypes}
        exact = {"int8", "int16", "uint8", "uint16", "bool"}
        return self.kind.float32 or ("float32" in names and names <= {"float32", *exact})

    def __str__(self) -> str:
        lines = [f"seed {self.seed}: {self.name}, {self.task}, {len(self.target)} rows"]
        lines += [
            f"  {c.name}: {c.kind}, {c.values.dtype}, {c.values.nunique()} values"
            + (", gaps" if c.gaps else "")
            for c in self.columns
        ]
        lines += [f"  labels {sorted(map(repr, set(self.target.tolist())))}"] * (
            self.task == "classification"
        )
        lines += [f"  explained with {len(self.sample)} rows, {self.options}, {self.distil}"]
        return "\n".join([*lines, self.model.__repr__(N_CHAR_MAX=10**6)])


def case_of(seed: int, *, small: bool = False) -> Case:
    """Draw until a model fits and answers its own training rows.

    Parameters
    ----------
    small : whether to keep to few columns and rows; other cases than without it.
    """
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, attempt])
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                case = _drawn(rng, seed, SMALL if small else USUAL)
                answers = _numbers(case.model.predict(case.training))
                wide = getattr(last_step(case.model), "n_features_in_", 0) > MOST_COLUMNS
                if np.isfinite(answers).all() and not wide:
                    return case
            except Exception:  # noqa: BLE001, S112 steps that do not go together
                continue
    raise AssertionError(f"seed {seed} makes no model that fits")


def _numbers(answer: Any) -> np.ndarray:
    answer = np.asarray(answer)
    return answer if answer.dtype.kind == "f" else np.zeros(1)


def _drawn(rng: np.random.Generator, seed: int, size: Size) -> Case:
    task: Task = "classification" if rng.random() < 0.6 else "regression"
    name = pick(rng, sorted(KINDS[task]))
    kind = KINDS[task][name]
    style = "pipeline"
    if kind.native and rng.random() < 0.5:
        style = "native"
    elif rng.random() < 0.12:
        style = "numbers"
    n_rows = int(rng.integers(60, size.training))
    kinds = {"pipeline": EVERY, "native": NATIVE, "numbers": NUMERIC}[style]
    columns = table(rng, n_rows, int(rng.integers(2, size.columns + 1)), kinds)
    frame = frame_of(columns)
    training: Any = frame
    if style == "numbers" and rng.random() < 0.7:
        training = frame.to_numpy(dtype=str(rng.choice(["float64", "float32"])), na_value=np.nan)
    target = _target(rng, columns, task, kind)
    estimator = kind.make(rng)
    if style == "native" and name.startswith("Hist"):
        estimator.set_params(categorical_features="from_dtype")
    model = estimator
    if style == "pipeline":
        dense = bool(rng.random() < 0.7)
        model = pipeline(rng, columns, estimator, dense=dense)
    elif style == "numbers":
        model = array_pipeline(rng, estimator)
    seeds = [
        name
        for name, value in model.get_params().items()
        if name.endswith("random_state") and value is None
    ]
    model.set_params(**dict.fromkeys(seeds, 0)).fit(training, target)
    rows: Any = pd.DataFrame({column.name: column.draw(rng, size.rows) for column in columns})
    if not isinstance(training, pd.DataFrame):
        rows = rows.to_numpy(dtype=training.dtype, na_value=np.nan)
    chosen = _sampled(rng, frame, size.samples)
    sample = training.iloc[chosen] if isinstance(training, pd.DataFrame) else training[chosen]
    options, distil = _options(rng, model, columns, named=isinstance(training, pd.DataFrame))
    return Case(
        seed,
        name,
        kind,
        task,
        model,
        tuple(columns),
        training,
        target,
        sample,
        rows,
        options,
        distil,
    )


def _target(rng: np.random.Generator, columns: list[Column], task: Task, kind: Kind) -> np.ndarray:
    weights = rng.normal(size=len(columns))
    score = sum(w * c.signal for w, c in zip(weights, columns, strict=True))
    score = np.asarray(score) + 0.3 * rng.normal(size=len(columns[0].values))
    if task == "regression":
        scale, offset = pick(
            rng, [(1.0, 5.0), (1.0, 5.0), (100.0, 400.0), (7.0, 2.46e6), (1e-3, 1.0)]
        )
        return np.maximum(score * scale + offset, 1e-3)
    if rng.random() < 0.6:
        codes = (score > np.quantile(score, rng.uniform(0.3, 0.7))).astype(int)
        labels = pick(rng, [[0, 1], [0, 1], [1, 2], [-1, 1], ["no", "yes"], [False, True]])
    else:
        codes = np.digitize(score, np.quantile(score, [0.33, 0.66]))
        labels = pick(rng, [[0, 1, 2], [3, 5, 10], ["b", "a", "c"], ["high", "low", "middle"]])
    if kind.counted_labels:
        labels = list(range(len(labels)))
    return np.asarray(labels)[codes]


def _sampled(rng: np.random.Generator, frame: pd.DataFrame, sizes: tuple[int, ...]) -> np.ndarray:
    """Places of the rows to explain with: all, some, or those without a value of some column."""
    places = rng.permutation(len(frame))
    texts = [name for name in frame if frame[name].dtype.kind not in "iufbM"]
    if texts and rng.random() < 0.5:
        column = frame[pick(rng, texts)]
        lacking = column.drop_duplicates().tolist()[0]
        kept = (column != lacking).to_numpy(dtype=bool, na_value=True)
        if kept.sum() >= 10:
            places = places[kept[places]]
    return np.sort(places[: pick(rng, sizes)])


def _options(
    rng: np.random.Generator, model: Any, columns: list[Column], *, named: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    options: dict[str, Any] = {}
    if rng.random() < 0.15:
        options["method"] = "kernel"
    both = hasattr(model, "predict_proba") and hasattr(model, "decision_function")
    if is_classifier(model) and both and rng.random() < 0.2:
        options["output_space"] = "margin"
    if rng.random() < 0.1:
        options["n_background"] = 8
    if len(columns) > 2 and rng.random() < 0.08:
        options["groups"] = {
            "pair": [c.name if named else f"feature_{j}" for j, c in enumerate(columns[:2])]
        }
    distil: dict[str, Any] = {"reference_rows": 0}
    if rng.random() < 0.1:
        distil["method"] = "kernel"
    return options, distil


def last_step(model: Any) -> Any:
    return model.steps[-1][1] if isinstance(model, Pipeline) else model
