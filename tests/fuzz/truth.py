"""The model's own answers, and Shapley values of them from the definition; nothing of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tests.fuzz.cases import Case, last_step
from tests.oracles import coalitions, shapley


@dataclass(frozen=True, eq=False)
class Truth:
    """The model's answers, row by row.

    Parameters
    ----------
    labels : what `predict` answers; None where it raises.
    outputs : float64 (n_rows, n_outputs); NaN where it raises.
    refusals : per row the first line of what it raises, or "".
    """

    labels: list[Any]
    outputs: np.ndarray
    refusals: list[str]

    @property
    def answered(self) -> np.ndarray:
        """Rows with a finite answer, bool (n_rows,)."""
        return np.isfinite(self.outputs).all(axis=1) & (np.array(self.refusals) == "")


def taken(x: Any, places: Any) -> Any:
    return x.iloc[places] if isinstance(x, pd.DataFrame) else x[places]


def alone(case: Case, x: Any, row: int) -> Any:
    """One row, whose categories are training's and its own, not those of other rows."""
    one = taken(x, [row])
    if not isinstance(one, pd.DataFrame):
        return one
    for column in case.columns:
        if column.kind == "category":
            known, value = column.values.dtype, one[column.name].iloc[0]
            assert isinstance(known, pd.CategoricalDtype)
            more = [] if pd.isna(value) or value in known.categories else [value]
            dtype = pd.CategoricalDtype([*known.categories, *more], known.ordered)
            one = one.assign(**{column.name: one[column.name].astype(dtype)})
    return one


def joined(one: Any, other: Any) -> Any:
    """Rows of both, with the dtypes of the second, which may know more categories."""
    if not isinstance(one, pd.DataFrame):
        return np.concatenate([one, other])
    return pd.concat([one.astype(other.dtypes.to_dict()), other], ignore_index=True)


def outputs_of(case: Case, x: Any, space: str) -> np.ndarray:
    """Outputs (n_rows, n_outputs) in an output space, from the model's own methods."""
    model: Any = case.model
    if space == "probability":
        answer = model.predict_proba(x)
    elif space == "value":
        answer = model.predict(x)
    elif hasattr(model, "decision_function"):
        answer = model.decision_function(x)
    elif type(last_step(model)).__name__.startswith("LGBM"):
        answer = model.predict(x, raw_score=True)
    else:
        answer = model.predict(x, output_margin=True)
    answer = np.asarray(answer, dtype=float)
    return answer.reshape(len(x), -1)


def truth_of(case: Case, x: Any, space: str) -> Truth:
    """Ask for all rows at once, and one by one where that fails."""
    with np.errstate(all="ignore"):
        try:
            labels = np.asarray(case.model.predict(x)).ravel().tolist()
            return Truth(labels, outputs_of(case, x, space), [""] * len(x))
        except Exception:  # noqa: BLE001 whatever a model raises is its way to refuse
            return _one_by_one(case, x, space)


def _one_by_one(case: Case, x: Any, space: str) -> Truth:
    n_outputs = outputs_of(case, case.training[:1], space).shape[1]
    labels: list[Any] = []
    outputs, refusals = np.full((len(x), n_outputs), np.nan), []
    for row in range(len(x)):
        one = alone(case, x, row)
        try:
            label = np.asarray(case.model.predict(one)).ravel().tolist()[0]
            outputs[row] = outputs_of(case, one, space)[0]
        except Exception as error:  # noqa: BLE001
            labels.append(None)
            refusals.append(f"{type(error).__name__}: {error}".partition("\n")[0])
        else:
            labels.append(label)
            refusals.append("")
    return Truth(labels, outputs, refusals)


def values_of(
    case: Case,
    row: Any,
    background: Any,
    weights: np.ndarray,
    players: Sequence[Sequence[int]],
    space: str,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Shapley values of one row by their definition.

    Returns
    -------
    Values (n_players, n_outputs), the base value (n_outputs,), and the largest |v(S)|.
    """
    n_players, n_background = len(players), len(background)
    subsets = [frozenset(subset) for subset in coalitions(n_players)]
    mixed = _mixed(background, row, subsets, players)
    answers = outputs_of(case, mixed, space).reshape(len(subsets), n_background, -1)
    worth = dict(zip(subsets, np.einsum("b,sbk->sk", weights, answers), strict=True))
    largest = float(np.abs(answers).max())
    return shapley(worth.__getitem__, n_players), worth[frozenset()], largest


def _mixed(
    background: Any, row: Any, subsets: Sequence[frozenset[int]], players: Sequence[Sequence[int]]
) -> Any:
    """Every background row with the row's values on every coalition, one block after the other."""
    both, n = joined(background, row), len(background)
    n_columns = both.shape[1]
    places = np.empty((len(subsets), n, n_columns), dtype=np.intp)
    places[:] = np.arange(n)[:, np.newaxis]
    for k, subset in enumerate(subsets):
        for player in subset:
            places[k][:, list(players[player])] = n
    flat = places.reshape(-1, n_columns)
    if not isinstance(both, pd.DataFrame):
        return both[flat, np.arange(n_columns)]
    columns = {name: both[name].take(flat[:, j]) for j, name in enumerate(both.columns)}
    # With their dtypes said: pandas takes objects that are texts for another dtype.
    same = {name: pd.Series(c.array, dtype=c.dtype, copy=False) for name, c in columns.items()}
    return pd.DataFrame(same)


STEADY_ROWS = 12


def is_steady(case: Case) -> bool:
    """Whether the model itself answers a row the same alone and beside others.

    Some do not: NumPy makes floats of a block of whole categories that holds a gap, and a function
    of text reads 3.0 there and 3 elsewhere. No answer to such a row is right.
    """
    space = "probability" if hasattr(case.model, "predict_proba") else "margin"
    space = "value" if case.task == "regression" else space
    some = taken(case.sample, list(range(min(STEADY_ROWS, len(case.sample)))))
    whole = taken(case.training, list(range(len(case.training))))
    with np.errstate(all="ignore"):
        try:
            block, among = outputs_of(case, some, space), outputs_of(case, whole, space)
            each = [outputs_of(case, alone(case, some, row), space)[0] for row in range(len(some))]
            single = [
                outputs_of(case, alone(case, whole, row), space)[0] for row in range(len(some))
            ]
        except Exception:  # noqa: BLE001 it answers them in one block and not in another
            return False
    allowed = 1e-6 * np.abs(among).max()
    apart = max(np.abs(block - each).max(), np.abs(among[: len(some)] - single).max())
    return bool(apart <= allowed)
