"""Every workload against every peer, by background and by number of rows."""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import environments, machine, models, truth
from benchmarks.peers import shap_peers
from benchmarks.subjects import OUTSIDE, subjects
from benchmarks.timing import GOAL, Contender, measure, milliseconds, needed, relative_rms
from benchmarks.timing import Effort as Time
from scoring import (
    ArtifactUnsupported,
    KernelScoringExplainer,
    TabularExplainer,
    artifact_sha256,
    load,
    save,
)

OURS = "shapserve"
FAILED = "not measured to the end"
ROUNDING = 1e-5  # of base values, relative; ONNX and LightGBM's own sums are in single precision
SERIES = (1e-2, 1e-3)  # tolerances asked of a logistic regression, besides none
PATIENCE = 10  # seconds a row of shap's; beyond, others that ask as often are not asked


@dataclass(frozen=True)
class Cell:
    """One contender against one background.

    `times` and `units` go by rows of a request: milliseconds per row and how many rows were
    timed, and the same in units of one row of the model's own prediction at that size. Errors are
    relative RMS, against this background and against the training rows; None where unknown.
    `summary` tells how the library chose the background by itself, from so many training rows.
    `points` are (coalitions, milliseconds, error) of one row by designs of growing size.
    """

    workload: str
    contender: str
    method: str
    n_background: int
    summary: str
    n_players: int
    n_coalitions: int
    seconds: float
    mebibytes: float | None
    times: dict
    units: dict
    error: float | None
    truth: str
    noise: float
    full_error: float | None
    full_rows: int
    base_values_apart: float
    outputs_apart: float
    points: list

    @property
    def ms(self):
        """Of one row in a request of one."""
        return self.times["1"]["ms"]

    @property
    def to_goal(self):
        """Milliseconds a row until the error is 1 %; None where no design got there."""
        return self.until(GOAL)

    def until(self, error):
        """Milliseconds a row of the cheapest design with no more than an error."""
        return min((ms for _, ms, reached in self.points if reached <= error), default=None)


def run(effort, only=None):
    """Cells of the workloads whose name holds `only`, and notes on who took part."""
    cells: list[Cell] = []
    notes: list[str] = []
    names = effort.grid_workloads
    for subject in subjects():
        if (names and subject.name not in names) or (only and only not in subject.name):
            continue
        try:
            for cell in _subject(subject, effort, notes):
                print(f"  {cell.contender}: {cell.ms:.2f} ms", file=sys.stderr, flush=True)
                cells.append(cell)
        except Exception as error:  # noqa: BLE001 an hour of the others is not lost for one
            traceback.print_exc()
            notes.append(f"{FAILED}: {subject.name} ({type(error).__name__})")
    return cells, sorted(set(notes))


@dataclass(frozen=True, eq=False)
class Setting:
    """What all contenders at one background share; truths go by whether players are columns."""

    subject: object
    background: object
    pool: object
    some: object
    truths: dict
    full: dict
    prediction: dict
    time: Time
    base_value: float


def _subject(subject, effort, notes):
    time_ = Time(effort.grid_sizes, effort.grid_seconds, effort.grid_climb)
    some, pool = subject.fresh(effort.grid_rows, 1), subject.fresh(needed(time_.sizes), 2)
    predict = models.outputs(subject.model, subject.space)
    games = _games(subject)
    full = {False: truth.against_training(games[False], some, subject.train)}
    if True in games:
        columns = subject.columns(some), subject.columns(subject.train)
        full[True] = truth.against_training(games[True], *columns, sampled=False)
    with machine.one_cpu():
        prediction = milliseconds(predict, pool, time_.sizes, time_.seconds)
    settings, affordable = [], []
    for n in [n for n in subject.backgrounds if n <= effort.grid_backgrounds]:
        print(f"{subject.name}, {n} background rows", file=sys.stderr, flush=True)
        background = subject.background(n)
        base = float(subject.f(subject.columns(background))[:, -1].mean())
        truths = _truths(games, background, some, effort)
        setting = Setting(subject, background, pool, some, truths, full, prediction, time_, base)
        settings.append(setting)
        with machine.one_cpu():
            cells = [_ours(setting, n)]
            cells += [_shap(setting, peer) for peer in subject.peers if peer not in OUTSIDE]
        yield from cells
        if max(cell.ms for cell in cells) < 1000 * PATIENCE:
            affordable.append(setting)
    for peer in [
        peer for peer in subject.peers if affordable and peer in OUTSIDE and effort.grid_outside
    ]:
        try:
            yield from _outside(affordable, peer, environments.python_of(peer), notes)
        except environments.NotHere as reason:
            notes.append(f"left out: {reason}")
    if full[False][1]:
        with machine.one_cpu():
            yield _ours(settings[0], None)


def _games(subject):
    """By whether the players are columns: over raw rows, and of a pipeline over columns too."""
    of = subject.model, subject.space, subject.f, subject.columns, subject.owner
    games = {False: truth.Game(*of)}
    if subject.prepare is not None:
        games[True] = truth.Game(subject.estimator, subject.space, subject.f, np.asarray)
    return games


def _truths(games, background, some, effort):
    found = {False: truth.against(games[False], some, background, effort)}
    if True in games:
        columns = games[False].columns(some), games[False].columns(background)
        found[True] = truth.against(games[True], *columns, effort)
    return found


def _ours(setting, n_background):
    """Distilled, saved and loaded; by default against the library's own summary."""
    subject, given = setting.subject, n_background is not None
    rows = setting.background if given else subject.train
    start = time.perf_counter()
    size = {"n_background": n_background} if given else {}
    full = TabularExplainer(subject.model, rows, output_space=subject.space, **size)
    with _quiet():
        explainer = KernelScoringExplainer(full)
    seconds = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as directory, _quiet():
        served, mebibytes = _served(explainer, directory)
        told = served.explain_local(setting.some)
        whole = (told.base_values + told.values.sum(axis=1))[:, -1]
        for added, output in zip(whole, subject.f(subject.columns(setting.some)), strict=True):
            same_game(added, output[-1], 0.0, OURS)

        def sized(n):
            if n is None:
                return _last(served)
            return _last(KernelScoringExplainer(full, n_coalitions=n, method="kernel"))

        base = float(served.base_values[-1])
        ours = Contender(sized, base, told.n_coalitions, 4 * len(served.features))
        known = setting.truths[False] if given else truth.UNKNOWN
        found = measure(ours, setting.pool, setting.some, known.values, setting.time)
        if served.method == "exact link" and found["points"]:
            found["points"] += list(_series(full, setting, known.values))
    about = {"seconds": seconds, "mebibytes": mebibytes, "method": served.method}
    about |= {"n_background": len(rows), "summary": "" if given else told.background}
    return _cell(setting, OURS, found, about, columns=False)


def _series(full, setting, truth):
    """(0, milliseconds, error) of a row by series that are only as long as a tolerance asks."""
    for tolerance in SERIES:
        with tempfile.TemporaryDirectory() as directory, _quiet():
            explain = _last(
                _served(KernelScoringExplainer(full, tolerance=tolerance), directory)[0]
            )
        sizes, seconds = setting.time.sizes[:1], setting.time.seconds
        ms = milliseconds(explain, setting.pool, sizes, seconds)[str(sizes[0])]
        some = setting.some[: len(truth)]
        values = np.concatenate([explain(some[i : i + 1]) for i in range(len(some))])
        yield [0, ms, relative_rms(values - truth, truth)]


def _served(explainer, directory):
    """As a server has it, and the artifact's size; a bare function has none, and stays here."""
    try:
        save(explainer, directory)
    except ArtifactUnsupported:
        return explainer, None
    size = sum(path.stat().st_size for path in Path(directory).rglob("*") if path.is_file())
    return load(directory, expect_sha256=artifact_sha256(directory)), size / 2**20


def _last(explainer):
    return lambda rows: explainer.explain_local(rows).values[..., -1]


def _quiet():
    """skl2onnx reads attributes of SVC that will go."""
    return warnings.catch_warnings(category=FutureWarning, action="ignore")


def _shap(setting, peer):
    """One of shap's explainers, over columns."""
    subject = setting.subject
    background, pool, some = map(subject.columns, (setting.background, setting.pool, setting.some))
    columns = subject.prepare is not None
    takes = subject.estimator if peer in {"tree", "linear"} else subject.f
    start = time.perf_counter()
    contender = getattr(shap_peers, peer)(takes, background)
    seconds = time.perf_counter() - start
    np.random.seed(0)  # noqa: NPY002 shap draws from the global generator
    found = measure(contender, pool, some, setting.truths[columns].values, setting.time)
    about = {"seconds": seconds, "method": peer, "n_background": len(background)}
    return _cell(setting, f"shap {peer}", found, about, columns=columns)


def _outside(settings, peer, python, notes):
    """A peer in its own environment, all backgrounds in one process."""
    first = settings[0]
    subject, time_ = first.subject, first.time
    job = {
        "model": subject.key, "space": subject.space, "train": subject.train,
        "labels": subject.labels, "pool": first.pool, "some": first.some,
        "outputs": subject.f(first.some), "sizes": time_.sizes, "seconds": time_.seconds,
        "climb": time_.climb, "backgrounds": [len(s.background) for s in settings],
    }  # fmt: skip
    for s in settings:
        job[f"background_{len(s.background)}"] = s.background
        job[f"truth_{len(s.background)}"] = s.truths[False].values
    with machine.one_cpu():
        told = environments.run(python, f"benchmarks.peers.{peer}_kernel", job)
    notes.append(f"{told['library']} in an environment of its own")
    for setting, found in zip(settings, told["answers"], strict=True):
        about = {"seconds": found["seconds"], "method": "kernel"}
        about |= {"n_background": len(setting.background)}
        yield _cell(setting, peer, found, about, columns=False, apart=told["outputs_apart"])


def _cell(setting, contender, found, about, *, columns, apart=0.0):
    known, (full, full_rows) = setting.truths[columns], setting.full[columns]
    values, base_apart = np.array(found["values"]), 0.0
    if not about.get("summary"):
        base_apart = same_game(found["base_value"], setting.base_value, apart, contender)
    full_error = None
    if len(values) and full_rows:
        n = len(values)
        full_error = relative_rms(values - full.values[:n], full.values[:n])
    given = {"summary": "", "mebibytes": None} | about
    names = setting.subject.train.shape[1]
    return Cell(
        workload=setting.subject.name,
        contender=contender,
        n_players=setting.subject.columns(setting.some[:1]).shape[1] if columns else names,
        n_coalitions=found["default"],
        times=found["times"],
        units={n: t["ms"] / setting.prediction[n] for n, t in found["times"].items()},
        error=found["points"][0][2] if found["points"] else None,
        truth="-" if given["summary"] else known.how,
        noise=known.noise,
        full_error=full_error,
        full_rows=full_rows,
        base_values_apart=base_apart,
        outputs_apart=apart,
        points=found["points"],
        **given,
    )


def same_game(theirs, ours, fits_apart, contender):
    """How far a game's ends are apart; more than rounding and two fits permit is another game."""
    apart = abs(theirs - ours)
    permitted = ROUNDING * max(1.0, abs(ours)) + fits_apart
    if apart > permitted:
        raise AssertionError(f"{contender}: {apart:.2g} apart: another game")
    return apart
