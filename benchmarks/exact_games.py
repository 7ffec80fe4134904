"""Exact values against what a user would take today: time for one row, by background size."""

from __future__ import annotations

import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shap
from lightgbm import LGBMClassifier
from shap.maskers import Independent
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from tqdm import tqdm

from benchmarks import machine
from scoring.artifact import load, save
from scoring.explainers import TabularExplainer
from scoring.measure import relative_rms
from scoring.scoring_explainers import KernelScoringExplainer

N_COALITIONS = 2108
ERROR_ROWS = 4
FOREST, MARGIN = "probability", "margin"


@dataclass(frozen=True)
class Contest:
    """A model in an output space, the peer, and how many times faster than it ours has to be."""

    name: str
    model: object
    rows: np.ndarray
    space: str
    peer: str
    backgrounds: tuple[int, ...]
    wanted: dict[int, float]


@dataclass(frozen=True)
class Cell:
    """One background size: milliseconds for one row, and how far the peer is from exact values."""

    name: str
    method: str
    peer: str
    n_background: int
    ours: float
    peers: float
    peer_error: float
    seconds: float
    mebibytes: float
    wanted: float | None

    @property
    def factor(self):
        """How many times faster ours is."""
        return self.peers / self.ours


def measure(workloads, effort):
    """Time every contest; `workloads` are those of breast cancer, by name."""
    contests = _quick(workloads) if effort.exact_calls < 5 else _full(workloads)
    return [
        _cell(contest, n, effort)
        for contest in contests
        for n in tqdm(contest.backgrounds, contest.name, leave=False)
    ]


def _quick(workloads):
    forest = workloads["RandomForest(100)"]
    return [Contest(forest.name, forest.model, forest.train, FOREST, "tree", (10,), {})]


def _full(workloads):
    forest = workloads["RandomForest(100)"]
    x, y = forest.train, forest.model.predict(forest.train)
    sizes, trees = (10, 100, 1000), {100: 30.0, 1000: 200.0}
    boosted = HistGradientBoostingClassifier(random_state=0).fit(x, y)
    light = LGBMClassifier(n_estimators=100, verbosity=-1, n_jobs=1).fit(x, y)
    line, machine_ = LogisticRegression().fit(x, y), SVC().fit(x, y)
    many, label = make_classification(20_000, 14, n_informative=10, flip_y=0.2, random_state=0)
    wide = LGBMClassifier(n_estimators=300, num_leaves=63, verbosity=-1, n_jobs=1)
    deep = RandomForestClassifier(100, random_state=0)
    kernel = dict.fromkeys(sizes, 20.0)
    return [
        Contest("RandomForest(100)", forest.model, x, FOREST, "tree", sizes, trees),
        Contest("HistGradientBoosting", boosted, x, MARGIN, "tree", sizes, trees),
        Contest("LightGBM(100)", light, x, MARGIN, "tree", sizes, trees),
        Contest("LightGBM(300), 63 leaves, 20,000 rows", wide.fit(many, label), many, MARGIN,
                "tree", (100,), {100: 10.0}),
        Contest("RandomForest(100), deep, 20,000 rows", deep.fit(many, label), many, FOREST,
                "tree", (100,), {100: 3.0}),
        Contest("LogisticRegression", line, x, FOREST, "kernel", sizes, kernel),
        Contest("SVC", machine_, x, MARGIN, "kernel", sizes[:2], {10: 30.0, 100: 30.0}),
    ]  # fmt: skip


def _cell(contest, n_background, effort):
    rng = np.random.default_rng(n_background)
    background = _fresh(contest.rows, n_background, rng)
    start = time.perf_counter()
    full = TabularExplainer(
        contest.model, background, output_space=contest.space, n_background=n_background
    )
    explainer = KernelScoringExplainer(full)
    seconds = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as directory, machine.one_cpu():
        save(explainer, directory)
        size = sum(path.stat().st_size for path in Path(directory).rglob("*") if path.is_file())
        served = load(directory)
        peer = (
            _tree(contest, background) if contest.peer == "tree" else _kernel(contest, background)
        )
        some = _fresh(contest.rows, ERROR_ROWS, rng)
        exact = served.explain_local(some).values[..., -1]
        error = relative_rms(peer(some), exact)
        calls = effort.exact_calls
        ours = _milliseconds(served.explain_local, contest.rows, rng, 10 * calls)
        peers = _milliseconds(peer, contest.rows, rng, calls)
    wanted = contest.wanted.get(n_background)
    return Cell(
        contest.name, explainer.method, contest.peer, n_background, ours, peers, error, seconds,
        size / 2**20, wanted,
    )  # fmt: skip


def _fresh(rows, n, rng):
    """Rows that nobody has seen: some of the training rows, each moved a little."""
    some = rows[rng.choice(len(rows), n, replace=n > len(rows))]
    return some + 0.01 * rows.std(axis=0) * rng.standard_normal(some.shape)


def _tree(contest, background):
    """`shap.TreeExplainer`, interventional, against all background rows."""
    masker = Independent(background, max_samples=len(background))
    explainer = shap.TreeExplainer(contest.model, masker, feature_perturbation="interventional")

    def values(rows):
        found = np.asarray(explainer.shap_values(rows, check_additivity=False))
        return found[..., -1] if found.ndim == 3 else found

    return values


def _kernel(contest, background):
    """`shap.KernelExplainer` over as many coalitions as it takes by itself."""
    ask = contest.model.decision_function if contest.space == MARGIN else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explainer = shap.KernelExplainer(ask or contest.model.predict_proba, background)

    def values(rows):
        found = explainer.shap_values(rows, nsamples=N_COALITIONS, l1_reg=False, silent=True)
        found = np.asarray(found)
        return found[..., -1] if found.ndim == 3 else found

    return values


def _milliseconds(call, rows, rng, calls):
    """Median time of one row, never the same twice; the first call is not counted."""
    call(_fresh(rows, 1, rng))
    took = []
    for _ in range(calls):
        row = _fresh(rows, 1, rng)
        start = time.perf_counter()
        call(row)
        took.append((time.perf_counter() - start) * 1000)
    return float(np.median(took))
