"""The guide's scoring explainers: everything fixed, nothing random, light to load."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scoring.distilled import Distilled
from scoring.errors import ModelError, ParameterError
from scoring.explanation import LocalExplanation, Scored
from scoring.inference import Wanted, explained, predicted_and_explained
from scoring.kernel import BLOCK_BYTES
from scoring.predictor import OutputSpace
from scoring.refusals import answered
from scoring.table import Table
from scoring.texts import NAME

__all__ = ["KernelScoringExplainer", "LinearScoringExplainer", "TreeScoringExplainer"]


class KernelScoringExplainer(Distilled):
    """Explains rows at inference time with a fixed design of coalitions.

    Distilled from a full explainer and measured while that is done; afterwards it is a pure
    function of the row: alone, in a batch, in another order or in another process.

    Parameters
    ----------
    explainer : a `TabularExplainer`, a `MimicExplainer`, or a ready `shap.KernelExplainer`. Of a
        mimic explainer the surrogate is explained and the model itself predicts; the additivity
        gap tells how far the two are apart.
    validation : rows that the fidelity report is measured on, best held-out ones; without them,
        rows mixed feature by feature from the training rows.
    tolerance : largest relative RMS error allowed, and largest additivity gap as a share of the
        largest output; without `n_coalitions` the smallest design that
        keeps to it is chosen. Probabilities of a linear model, which are exact without it, take a
        series that is only as long as it has to be.
    strict : whether a missed tolerance raises; otherwise the report records it.
    n_coalitions : size of the design; by default `2 * n_features + 2048`, and all coalitions with
        up to 12 features, which is exact.
    random_state : seed of the design; nothing is drawn after distillation.
    method : `auto` for exact values where the model's structure makes them, else coalitions;
        `kernel` for coalitions in any case.
    engineered : whether to explain a pipeline's columns as well, for `get_raw=False`. The model
        then travels in a form that can be taken apart, which needs scikit-learn to be served.
    output_spaces : spaces to explain besides the full explainer's own, of those that the model
        has; `in_space` chooses one, and a request to the service may.
    baselines : per name rows, as the full explainer takes them, that stand for an absent feature
        instead of the initialization set's; `against` chooses one. Every one is there in every
        output space.
    interactions : whether to keep what `explain_interactions` needs, where values do not.
    reason_codes : texts per feature and direction that go with a row's strongest features; see
        `scoring.reasons`.
    reference_rows : how many rows' values are kept as a distribution, to tell drift from; by
        default up to 1,000, as many as two seconds are enough for. 0 for none.
    name, version : what the artifact and every answer call the model.
    block_bytes : how much an explanation may allocate at a time beyond its answer, whatever the
        number of rows.
    tables_bytes : how much the tables of a tree model may take, which a row is looked up in; 0 for
        none. By default in proportion to the model, and none where they are not worth it. The
        report tells what more of them would buy.
    progress : whether to show a bar while measuring.

    Attributes
    ----------
    Those of `scoring.distilled.Distilled`.

    Raises
    ------
    ParameterError, FidelityError
    """

    def __init__(  # noqa: PLR0913 an explainer has many knobs
        self,
        explainer: Any,
        *,
        validation: Any = None,
        tolerance: float | None = None,
        strict: bool = True,
        n_coalitions: int | None = None,
        random_state: int = 0,
        method: Literal["auto", "kernel"] = "auto",
        output_spaces: Sequence[OutputSpace] = (),
        engineered: bool = False,
        interactions: bool = False,
        reason_codes: Any = None,
        baselines: Mapping[str, Any] | None = None,
        reference_rows: int | None = None,
        name: str | None = None,
        version: str | None = None,
        block_bytes: int = BLOCK_BYTES,
        tables_bytes: int | None = None,
        progress: bool = False,
    ) -> None:
        from scoring.distillation import attributes  # offline only: it needs scipy
        from scoring.distillation.distil import check_knobs
        from scoring.distillation.probe import sample_row
        from scoring.distillation.source import source_of

        texts: dict[str, Any] = {"name": name, "version": version}
        for parameter, text in texts.items():
            if text is not None and not (isinstance(text, str) and NAME.fullmatch(text)):
                rule = "must be up to 64 letters, digits, dots, dashes and underscores"
                raise ParameterError(parameter, rule, "It becomes part of addresses and metrics.")
        if method not in {"auto", "kernel"}:
            raise ParameterError("method", "must be auto or kernel")
        if tables_bytes is not None and (type(tables_bytes) is not int or tables_bytes < 0):
            raise ParameterError("tables_bytes", "must be a number of bytes, 0 or more")
        source = source_of(explainer).capped(tables_bytes)
        view, schema = source.view, source.predictor.schema
        self.reason_codes = attributes.reasons(reason_codes, source)
        rows = None if validation is None else schema.encode(validation)
        check_knobs(tolerance, n_coalitions, view.players.n_players)
        if reference_rows is not None and reference_rows < 0:
            raise ParameterError("reference_rows", "must be at least 0")
        against = attributes.baseline_rows(baselines, schema)
        self._refuse(view)
        self.predictor = source.predictor
        self.sample = sample_row(schema, view.initialization)
        self.name = name or "model"
        self.version = version or "1"
        self.block_bytes = block_bytes
        self.players = None if view.players.single else view.players
        self.subset = source.subset
        knobs: dict[str, Any] = {"tolerance": tolerance, "strict": strict}
        knobs |= {"n_coalitions": n_coalitions, "random_state": random_state}
        knobs |= {"block_bytes": block_bytes, "show_progress": progress}
        way: dict[str, Any] = {**knobs, "method": method, "interactions": interactions}
        own = attributes.distilled(source, rows, **way)
        self.__dict__.update(own)
        self.named_backgrounds = attributes.named_backgrounds(view, against, own, rows, **way)
        asked = output_spaces, rows, against, self.named_backgrounds
        self.others = attributes.further_spaces(
            explainer, source, *asked, tables_bytes=tables_bytes, **way
        )
        if source.fidelity is not None:
            self.surrogate = view.predictor
            self.method = self.method_of(self.method)
            self.report["surrogate"] = source.fidelity
            self.named_backgrounds = tuple(
                replace(each, method=self.method_of(each.method),
                        report={**each.report, "surrogate": source.fidelity})
                for each in self.named_backgrounds
            )  # fmt: skip
        if engineered:
            over_columns, measured = attributes.over_columns(source, rows, knobs)
            self.engineered = over_columns
            self.report["engineered"] = measured
        scored = self.restore({**vars(self)}).score  # of a copy, so that nothing made for it stays
        wanted = rows, reference_rows, random_state
        self.reference = attributes.distribution(scored, view, *wanted)

    def _refuse(self, view: Any) -> None:
        """Refuse what this kind of scoring explainer does not explain; this kind explains all."""

    def explain(self, x: Any, get_raw: bool | None = None) -> list[Any]:  # noqa: FBT001 the guide's signature
        """Return local importance values in the guide's layout, ready for JSON.

        Parameters
        ----------
        x : DataFrame, array, SciPy sparse matrix (n_rows, n_features) or Table.
        get_raw : False for the values of a pipeline's columns, where they were distilled.

        Returns
        -------
        `[class][row][feature]` for a classifier, `[row][feature]` for one regression output,
        `[output][row][feature]` for several.
        """
        return self.explain_local(x, get_raw).local_importance_values

    def explain_local(
        self,
        x: Any,
        get_raw: bool | None = None,  # noqa: FBT001 the guide's signature
        *,
        deadline_ms: float | None = None,
    ) -> LocalExplanation:
        """Return the self-describing result for the same rows.

        Parameters
        ----------
        x, get_raw : as in `explain`.
        deadline_ms : when to stop asking about coalitions, in milliseconds from now. The answer
            then comes from a shorter design, the same for all rows, and its standard errors are
            larger; the shortest is always finished. Exact values are not cut short.

        Raises
        ------
        ParameterError
            A deadline that is no time.
        ------
        ModelError
            Columns are asked for and were not distilled.
        """
        until = _until(deadline_ms)
        rows = self.predictor.schema.encode(x)
        if get_raw is not False:
            return answered(self.predictor, rows, lambda: explained(self, rows, until))
        if self.engineered is None:
            raise ModelError(
                "get_raw=False needs the engineered columns, which this explainer was distilled "
                "without. Distil it with engineered=True."
            )
        return self.engineered.explain(self.predictor, rows, self.block_bytes)

    def explain_interactions(self, x: Any) -> NDArray[np.float64]:
        """Return what pairs of features do together, where the values are exact.

        Parameters
        ----------
        x : DataFrame, array, SciPy sparse matrix (n_rows, n_features) or Table.

        Returns
        -------
        float64 (n_rows, n_players, n_players, n_outputs), by shap's convention: symmetric, half of
        a pair's interaction on each side of the diagonal, and every line sums to a feature's value.

        Raises
        ------
        ModelError
            The values are not exact, or what interactions need was left out at distillation.
        """
        if self.exact is None:
            raise ModelError(
                "interaction values need a model whose structure makes exact values; this "
                "explainer asks about coalitions."
            )
        rows = self.predictor.schema.encode(x)
        return self.exact.interactions(rows, self.explained, self.block_bytes)

    def predict(self, x: Any) -> NDArray[Any]:
        """Return what the model's own `predict` answers."""
        predictor = self.predictor
        rows = predictor.schema.encode(x)
        return answered(predictor, rows, lambda: predictor.predictions(rows))

    def score(
        self,
        rows: Table,
        deadline_ms: float | None = None,
        *,
        explain: bool | Wanted = True,
        interactions: bool = False,
    ) -> Scored:
        """Predict and explain, calling the model no more often than needed.

        Parameters
        ----------
        deadline_ms : as in `explain_local`.
        explain : whether to explain, or a function that says which rows are, bool (n_rows,), from
            what is predicted for them: predictions (n_rows,), and probabilities
            (n_rows, n_classes) or None. Rows that are not explained cost a prediction only.
        interactions : whether to explain pairs of features as well.

        Raises
        ------
        ModelError
            Interactions are asked for, and `explains_interactions` says no.
        """
        until = _until(deadline_ms)
        scored = answered(
            self.predictor, rows, lambda: predicted_and_explained(self, rows, until, explain)
        )
        if not interactions:
            return scored
        those = rows if scored.explained is None else rows.take(scored.explained)
        pairs = self.explain_interactions(those)  # (n_rows, n_players, n_players, n_outputs)
        if self.subset is not None:
            pairs = pairs[:, self.subset][:, :, self.subset]
        return replace(scored, interactions=pairs)


class TreeScoringExplainer(KernelScoringExplainer):
    """The guide's name for the scoring explainer of trees: its values are exact.

    Raises
    ------
    ParameterError
        The model is no sum of trees in the explainer's output space.
    """

    def _refuse(self, view: Any) -> None:
        _expect(view, ("tree",), "must explain trees where their leaves add up")


class LinearScoringExplainer(KernelScoringExplainer):
    """The guide's name for the scoring explainer of linear models: its values are exact.

    Raises
    ------
    ParameterError
        The model is no linear one, nor a known function of one.
    """

    def _refuse(self, view: Any) -> None:
        _expect(view, ("linear", "link"), "must explain a linear model, or a link of one")


def _until(deadline_ms: float | None) -> float:
    """The time at which a deadline is over, as `time.perf_counter` counts it."""
    if deadline_ms is None:
        return math.inf
    if not deadline_ms > 0:
        raise ParameterError("deadline_ms", "must be above 0", "It is in milliseconds.")
    return time.perf_counter() + deadline_ms / 1000


def _expect(view: Any, kinds: tuple[str, ...], rule: str) -> None:
    if view.structure is None or view.structure.kind not in kinds:
        fix = "Use KernelScoringExplainer, or another output_space."
        raise ParameterError("explainer", rule, fix)
