"""A case through the product: explained, distilled, saved, loaded, and held against the model."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scoring import (
    ArtifactCorrupt,
    KernelScoringExplainer,
    RowsError,
    ShapserveError,
    TabularExplainer,
    artifact_sha256,
    load,
    save,
)
from scoring.artifact import read_manifest
from scoring.table import to_frame
from tests.fuzz.blame import blamed, cell_of, transformers
from tests.fuzz.cases import Case, case_of
from tests.fuzz.outcome import Finding, Outcome, first_line
from tests.fuzz.served import check_served
from tests.fuzz.truth import Truth, alone, is_steady, outputs_of, taken, truth_of, values_of

TOLERANCE = {False: 1e-6, True: 1e-4}
"""Of the outputs' scale; the larger one where the model computes in float32."""

WHOLE = 100  # rows of a sample that are its background as they are
BRUTE_ROWS = 3
BRUTE_PLAYERS = 8
BLAMED_ROWS = 3


def outcome_of(seed: int, *, small: bool = False, served: bool | None = None) -> Outcome:
    """Draw a case, and see what comes of it.

    Parameters
    ----------
    small : as for `case_of`; only every fourth one is saved and loaded.
    served : whether its rows are sent over HTTP as well; by default of one case in four, or eight.
    """
    began = time.perf_counter()
    case = case_of(seed, small=small)
    outcome = Outcome(seed, case.name, transformers(case.model), len(case.columns))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not is_steady(case):
            outcome.result = "unsteady"
            return outcome
    served = seed % (8 if small else 4) == 0 if served is None else served
    saved = served or not small or seed % 4 == 0
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        with tempfile.TemporaryDirectory() as directory:
            artifact = Path(directory) / "artifact" if saved else None
            made = _distilled(case, artifact, outcome)
            if made is not None:
                _Check(case, made, artifact, outcome).run(served)
    outcome.seconds = time.perf_counter() - began
    return outcome


def _distilled(case: Case, artifact: Path | None, outcome: Outcome) -> Any:
    """The scoring explainer, saved and loaded, or None with the reason in the outcome."""
    stage = "explain"
    try:
        explainer = TabularExplainer(case.model, case.sample, **case.options)
        stage = "distil"
        scoring = KernelScoringExplainer(explainer, **case.distil)
        if artifact is None:
            return scoring
        stage = "save"
        save(scoring, artifact)
        stage = "load"
        return load(artifact, artifact_sha256(artifact))
    except ShapserveError as error:
        outcome.refusal = f"{stage}: {first_line(error)}"
        outcome.result = "refused"
        if isinstance(error, ArtifactCorrupt):  # of what was made this moment
            outcome.add(Finding(f"crash: {stage}", first_line(error)))
        elif isinstance(error, RowsError):  # the model answers every row of the sample
            outcome.add(Finding("refused sample", error.violations[0].rule))
        elif "it raised" in str(error):
            outcome.add(Finding(f"blamed model: {stage}", first_line(error)))
    except Exception as error:  # noqa: BLE001 whatever it is, it is no clear refusal
        outcome.add(Finding(f"crash: {stage}", first_line(error)))
    return None


@dataclass(eq=False)
class _Check:
    case: Case
    loaded: Any
    artifact: Path | None
    outcome: Outcome
    blames: Counter[str] = field(default_factory=Counter)

    def run(self, served: bool) -> None:
        """Hold every row against the model."""
        case, outcome = self.case, self.outcome
        if self.artifact is not None:
            outcome.form = str(read_manifest(self.artifact)["model"]["form"])
        outcome.method = self.loaded.method
        self.space = self.loaded.predictor.space
        self.tolerance = TOLERANCE[case.float32 or outcome.form == "onnx"]
        training = outputs_of(case, case.training, self.space)
        self.center = np.median(training, axis=0)
        self.spread = max(float(np.ptp(training)), 1e-9 * float(np.abs(training).max()), 1e-300)
        truth = truth_of(case, case.rows, self.space)
        accepted = [row for row in range(len(case.rows)) if self._accepts(row, truth)]
        if not accepted:
            return
        rows = taken(case.rows, accepted)
        try:
            explanation = self.loaded.explain_local(rows)
            labels = np.asarray(self.loaded.predict(rows)).tolist()
        except Exception as error:  # noqa: BLE001 whatever it is becomes a finding
            outcome.add(Finding("crash: score", first_line(error)))
            return
        for k, row in enumerate(accepted):
            self._check_row(row, truth, labels[k], explanation.take(slice(k, k + 1)))
        self._check_brute(accepted, truth, explanation)
        if served and case.is_frame and self.artifact is not None:
            try:
                scored = self.loaded.score(self.loaded.predictor.schema.encode(rows))
                sha256 = artifact_sha256(self.artifact)
                check_served(self.loaded, sha256, self.artifact, rows, scored, outcome)
            except Exception as error:  # noqa: BLE001 whatever it is becomes a finding
                outcome.add(Finding("crash: served", first_line(error)))

    def _accepts(self, row: int, truth: Truth) -> bool:
        """Whether the schema takes a row, as it should if the model does."""
        one = alone(self.case, self.case.rows, row)
        answers = bool(truth.answered[row])
        try:
            table = self.loaded.predictor.schema.encode(one)
        except RowsError as error:
            self.outcome.n_refused += 1
            told_why = all("2**53" in violation.rule for violation in error.violations)
            if answers and not told_why and not self._is_unknown_gap(error):
                rule = "; ".join(dict.fromkeys(v.rule for v in error.violations))
                names = [v.column for v in error.violations]
                self.outcome.add(Finding("refused row", rule, self._cells(one, names), row))
            return False
        except Exception as error:  # noqa: BLE001 whatever it is becomes a finding
            self.outcome.add(Finding("crash: encode", first_line(error), (), row))
            return False
        for note in table.notes:
            self._check_note(note, one, row)
        if truth.refusals[row]:
            return self._check_refused(row, one, truth.refusals[row])
        return answers

    def _is_unknown_gap(self, error: RowsError) -> bool:
        """Whether nobody can tell which gap training had, None or NaN: the sample holds neither."""
        if not all(each.rule == "must not be missing" for each in error.violations):
            return False
        features = {feature.name: feature for feature in self.loaded.predictor.schema.features}
        return all(
            features[each.column].dtype == "object"
            and not self.case.sample[each.column].isna().any()
            for each in error.violations
            if each.column is not None
        )

    def _check_note(self, note: Any, one: Any, row: int) -> None:
        column = next(c for c in self.case.columns if c.name == note.column)
        value = one[note.column].iloc[0]
        if bool((column.values == value).fillna(False).any()):
            text = f"{note.rule} [{column.kind}]"
            self.outcome.add(Finding("warning", text, (), row))

    def _check_refused(self, row: int, one: Any, refusal: str) -> bool:
        """A row that the model refuses is to be refused by us, however late."""
        try:
            answer = self.loaded.explain_local(one)
            self.loaded.predict(one)
        except ShapserveError:
            return False
        except Exception as error:  # noqa: BLE001 whatever it is becomes a finding
            text = f"{first_line(error)} where the model raises {refusal}"
            self._blame("crash: refused row", text, one, row, lambda r: not self._model_answers(r))
            return False
        if np.isfinite(answer.outputs).all() and not self._answers_other_gaps(one):
            text = f"the model raises {refusal}"
            self._blame("answered row", text, one, row, self._is_answered_and_refused)
        return False

    def _answers_other_gaps(self, one: Any) -> bool:
        """Whether the model answers the row with None for NaN: a gap is a gap in a request."""
        if not self.case.is_frame:
            return False
        other = one.copy()
        for name in one:
            if one[name].dtype == object and one[name].isna().any():
                turned = np.nan if one[name].iloc[0] is None else None
                other[name] = pd.Series([turned], index=one.index, dtype=object)
        return self._model_answers(other)

    def _cells(self, one: Any, names: list[str | None]) -> tuple[str, ...]:
        """The cells of some columns, which have other names where the table is an array."""
        known = list(self.loaded.predictor.schema.names)
        return tuple(sorted({cell_of(self.case, one, known.index(n)) for n in names if n in known}))

    def _blame(
        self, kind: str, text: str, one: Any, row: int, fails: Callable[[Any], bool]
    ) -> None:
        """Note a finding with the cells that make it; not for many rows, as it takes time."""
        self.blames[kind] += 1
        if self.blames[kind] <= BLAMED_ROWS:
            self.outcome.add(Finding(kind, text, blamed(self.case, one, fails), row))

    def _check_row(self, row: int, truth: Truth, label: Any, explanation: Any) -> None:
        case, outcome = self.case, self.outcome
        outcome.n_answered += 1
        expected = truth.outputs[row]
        allowed = self._allowed(expected)
        difference = np.abs(explanation.outputs[0] - expected)
        one = alone(case, case.rows, row)
        if not (difference <= allowed).all():
            if self._is_unsteady(one, expected, allowed):
                return
            text = "not finite" if not np.isfinite(difference).all() else "another output"
            self._blame("output", text, one, row, self._output_differs)
        if not self._same_label(label, truth.labels[row], expected, allowed):
            self._blame("label", "another prediction", one, row, self._label_differs)
        values = explanation.values[0]
        if not np.isfinite(values).all():
            outcome.n_too_far += 1
            return
        gap = np.abs(explanation.base_values + values.sum(axis=0) - expected)
        largest = float(np.abs(values).max(initial=0.0))
        if not (gap <= allowed + self.tolerance * 1e-3 * largest).all():
            text = "values do not add up"
            if (gap - explanation.additivity_gap > allowed).any():
                text += ", and additivity_gap hides it"
            self._blame("gap", text, one, row, self._gap_is_large)

    def _allowed(self, expected: np.ndarray) -> np.ndarray:
        """The tolerance in the units of the outputs (n_outputs,)."""
        rounding = np.finfo(np.float32 if self.tolerance > 1e-5 else np.float64).eps
        scale = np.maximum(self.spread, np.abs(expected - self.center))
        return self.tolerance * scale + 16 * rounding * np.abs(expected)

    def _same_label(
        self, label: Any, expected: Any, outputs: np.ndarray, allowed: np.ndarray
    ) -> bool:
        if self.case.task == "regression":
            return bool(
                np.abs(np.ravel(label)[0] - expected) <= self._allowed(np.array([expected]))
            )
        if label == expected:
            return True
        ordered = np.sort(outputs)  # as good as a tie
        lead = ordered[-1] - ordered[-2] if len(ordered) > 1 else abs(ordered[0])
        return bool(lead <= 2 * allowed.max())

    def _is_unsteady(self, one: Any, expected: np.ndarray, allowed: np.ndarray) -> bool:
        """Whether the model itself answers otherwise when it is asked about the row alone."""
        alone = outputs_of(self.case, one, self.space)[0]
        return not (np.abs(alone - expected) <= allowed).all()

    def _check_brute(self, accepted: list[int], truth: Truth, explanation: Any) -> None:
        players = self._players()
        if len(players) > BRUTE_PLAYERS:
            return
        background = self._background()
        if background is None:
            self.outcome.add(Finding("background", "holds rows that the sample does not"))
            return
        for k in np.flatnonzero(np.isfinite(explanation.values).all(axis=(1, 2)))[:BRUTE_ROWS]:
            one = alone(self.case, self.case.rows, accepted[k])
            try:
                brute = values_of(self.case, one, *background, players, self.space)
            except Exception:  # noqa: BLE001, S112 the model does not answer every mixture
                continue
            self._compare(explanation.take(slice(k, k + 1)), brute, one, accepted[k])

    def _compare(self, explanation: Any, brute: Any, one: Any, row: int) -> None:
        values, base, largest = brute
        if not np.isfinite(values).all():
            return
        self.outcome.n_brute += 1
        reach = max(self.spread, largest - float(np.abs(self.center).min()))
        allowed = self.tolerance * reach + 1e-12 * largest
        if self.tolerance > 1e-5:
            allowed += 16 * np.finfo(np.float32).eps * largest
        if not (np.abs(explanation.base_values - base) <= allowed).all():
            self.outcome.add(
                Finding("values", f"another base value [{explanation.method}]", (), row)
            )
            return
        errors = 0.0
        if explanation.standard_errors is not None and explanation.standard_errors.max() > 0:
            errors = 10 * explanation.standard_errors.max() + 1e-3 * self.spread
        miss = np.abs(explanation.values[0] - values).max()
        if not miss <= allowed + errors:
            text = f"another value than by definition [{explanation.method}]"
            self._blame("values", text, one, row, self._values_differ)

    def _players(self) -> list[list[int]]:
        names = list(self.loaded.predictor.schema.names)
        groups = self.case.options.get("groups", {})
        return [[names.index(n) for n in groups.get(p, [p])] for p in self.loaded.player_names]

    def _background(self) -> tuple[Any, np.ndarray] | None:
        """The background as rows of the sample, with weights; None if they are no such rows."""
        case, kept = self.case, self.loaded.background
        n = len(case.sample)
        free = self.loaded.exact is not None and self.loaded.method in {
            "exact tree",
            "exact linear",
        }
        if free or (n <= WHOLE and "n_background" not in case.options):
            return case.sample, np.full(n, 1 / n)
        if not case.is_frame:
            places = [_place(row, case.sample) for row in kept.table.codes]
        else:
            decoded = to_frame(kept.table, self.loaded.predictor.schema.features)
            places = _places(decoded, case.sample)
        if -1 in places:
            return None
        return taken(case.sample, places), kept.weights

    def _model_answers(self, row: Any) -> bool:
        return bool(truth_of(self.case, row, self.space).answered[0])

    def _is_answered_and_refused(self, row: Any) -> bool:
        if self._model_answers(row):
            return False
        try:
            return bool(np.isfinite(self.loaded.explain_local(row).outputs).all())
        except ShapserveError:
            return False

    def _output_differs(self, row: Any) -> bool:
        expected = outputs_of(self.case, row, self.space)[0]
        answer = self.loaded.explain_local(row).outputs[0]
        return not (np.abs(answer - expected) <= self._allowed(expected)).all()

    def _label_differs(self, row: Any) -> bool:
        truth = truth_of(self.case, row, self.space)
        label, outputs = np.asarray(self.loaded.predict(row)).tolist()[0], truth.outputs[0]
        return not self._same_label(label, truth.labels[0], outputs, self._allowed(outputs))

    def _gap_is_large(self, row: Any) -> bool:
        expected, answer = outputs_of(self.case, row, self.space)[0], self.loaded.explain_local(row)
        gap = np.abs(answer.base_values + answer.values[0].sum(axis=0) - expected)
        return not (gap <= self._allowed(expected)).all()

    def _values_differ(self, row: Any) -> bool:
        background = self._background()
        assert background is not None
        values, _, largest = values_of(self.case, row, *background, self._players(), self.space)
        answer = self.loaded.explain_local(row).values[0]
        return not np.abs(answer - values).max() <= 2 * self.tolerance * max(self.spread, largest)


def _place(row: np.ndarray, sample: np.ndarray) -> int:
    same = ((sample == row) | (np.isnan(sample) & np.isnan(row))).all(axis=1)
    return int(np.flatnonzero(same)[0]) if same.any() else -1


def _places(rows: pd.DataFrame, sample: pd.DataFrame) -> list[int]:
    """Where each row stands in the sample; -1 where it does not."""
    codes = np.empty((len(rows) + len(sample), rows.shape[1]), dtype=np.intp)
    for j, name in enumerate(sample.columns):
        both = [*rows[name].astype(object), *sample[name].astype(object)]
        codes[:, j] = pd.factorize(np.array([None if pd.isna(v) else v for v in both], object))[0]
    known = codes[len(rows) :]
    matches = (codes[: len(rows), np.newaxis] == known).all(axis=2)
    return [int(np.flatnonzero(line)[0]) if line.any() else -1 for line in matches]
