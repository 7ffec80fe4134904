"""The guide's TabularExplainer: the full explainer, chosen by the model."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

from scoring import background as backgrounds
from scoring import kernel
from scoring.background import Background
from scoring.background_error import background_error
from scoring.errors import ModelError, ParameterError
from scoring.explainers import deep_shap, exact_shap
from scoring.explainers.aggregate import mean_absolute
from scoring.explainers.arguments import Subset, chosen, understood
from scoring.explainers.task import ModelTask, space_of
from scoring.explainers.view import Full, View
from scoring.explanation import GlobalExplanation, LocalExplanation
from scoring.features import Engineering, engineering_of
from scoring.measure import progress
from scoring.players import Groups, Players
from scoring.predictor import OutputSpace, Predictor
from scoring.probe import mixed_rows
from scoring.schema import Names
from scoring.table import Table
from scoring.transformations import with_transformations

__all__ = ["TabularExplainer"]

N_BACKGROUND = 50
"""Rows of the summary that stands for a larger initialization set on the kernel path."""

MEASURED_ROWS = 8

Method = Literal["auto", "tree", "linear", "deep", "kernel"]


class TabularExplainer:
    """Explains a fitted model on tabular rows.

    Trees and linear models are explained exactly by shap, against the whole initialization set,
    where shap's values add up in the output space asked for; networks of torch by shap's
    approximation for them. Everything else takes the kernel path: a weighted summary of the
    initialization set, and a fixed design of coalitions, so equal rows always get equal values.

    The players are raw features. A pipeline can also be explained in the columns that its last
    step sees: `get_raw=False`.

    Parameters
    ----------
    model : fitted estimator or pipeline, a torch module, or a callable of rows.
    initialization_examples : DataFrame, array or SciPy sparse matrix (n_rows, n_features), usually
        the training rows. Up to 100 rows are the background as they are; more are summarised on
        the kernel path.
    explain_subset : features to report, by index or name. Their values are what they are without
        it; what the others add up to is the explanation's `remainder`.
    features : names of the features, where the examples are an array.
    classes : names to show for the classes, in the order of the model's `classes_`.
    transformations : a fitted transformer from raw rows to what `model` takes, a list of
        `(columns, fitted transformer or None)`, or a fitted `DataFrameMapper`.
    allow_all_transformations : whether columns that depend on several features may be shared out
        among them when engineered values are summed. Raw players are exact in any case.
    model_task : `classification` or `regression`, where a function does not tell.
    groups : per name a list of features that are one player.
    output_space : `probability`, `margin` or `value`. By default probability where the model has
        `predict_proba`, else margin for classifiers and value for regressions.
    n_background : rows of the summary on the kernel path.
    method : `auto`, `tree`, `linear`, `deep` or `kernel`.
    n_coalitions : on the kernel path; None for `2 * n_players + 2048`, and all of them with up to
        12 players.
    random_state : seed of the summary and of the design.

    Raises
    ------
    ParameterError
        An argument breaks a rule; the message names it and the fix.
    """

    def __init__(
        self,
        model: Any,
        initialization_examples: Any,
        explain_subset: Subset | None = None,
        features: Names | None = None,
        classes: Names | None = None,
        transformations: Any = None,
        *,
        allow_all_transformations: bool = False,
        model_task: Any = ModelTask.Unknown,
        groups: Groups | None = None,
        output_space: OutputSpace | None = None,
        n_background: int = N_BACKGROUND,
        method: Method = "auto",
        n_coalitions: int | None = None,
        random_state: int = 0,
        block_bytes: int = kernel.BLOCK_BYTES,
    ) -> None:
        if method not in {"auto", "tree", "linear", "deep", "kernel"}:
            raise ParameterError("method", "must be auto, tree, linear, deep or kernel")
        if n_background < 1:
            raise ParameterError("n_background", "must be at least 1")
        if transformations is not None:
            model = with_transformations(model, transformations, initialization_examples)
        space = space_of(model, model_task, output_space)
        predictor, examples = understood(model, initialization_examples, features, classes, space)
        players = Players.of(predictor.schema.names, groups)
        self.subset = chosen(explain_subset, players.names)
        self.allow_all_transformations = allow_all_transformations
        self.view = View(
            predictor,
            examples,
            backgrounds.summarise(examples, n_background, random_state),
            players,
            full=_full(predictor, examples, method, players),
            engineering=engineering_of(predictor, examples),
            n_coalitions=n_coalitions,
            random_state=random_state,
            block_bytes=block_bytes,
        )
        self._method = method

    @property
    def predictor(self) -> Predictor:
        """The model, the schema of its rows, and the output space that is explained."""
        return self.view.predictor

    @property
    def background(self) -> Background:
        """The rows that stand for an absent feature."""
        return self.view.background

    @property
    def summary(self) -> Background:
        """Few weighted rows for all initialization examples, for the kernel path."""
        return self.view.summary

    @property
    def method(self) -> str:
        """How values are computed: `tree`, `linear`, `deep` or the kernel path's own word."""
        return self.view.method

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features, or of the groups that they are in, in order."""
        return self.view.players.names

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names, in the model's order; () for a regression."""
        return self.predictor.classes

    @cached_property
    def engineered(self) -> View:
        """The same model, its pipeline's columns the players.

        Raises
        ------
        ModelError
            The model is no pipeline.
        """
        engineering = self.view.engineering
        if engineering is None:
            raise ModelError(
                "the model has no engineered columns: it is no pipeline whose last step takes "
                "numbers. Leave get_raw out, or pass transformations."
            )
        predictor = engineering.predictor(self.predictor)
        examples = engineering.table(self.view.initialization)
        players = Players.of(engineering.columns.names)
        return replace(
            self.view,
            predictor=predictor,
            initialization=examples,
            summary=engineering.background(self.view.summary),
            players=players,
            full=_full(predictor, examples, self._method, players),
            engineering=None,
        )

    @property
    def summed(self) -> Engineering | None:
        """Where engineered values may be summed to raw ones, the map to do it by."""
        made = self.view.engineering
        usable = made is not None and (made.exclusive or self.allow_all_transformations)
        return made if usable else None

    def explain_local(self, x: Any, get_raw: bool | None = None) -> LocalExplanation:  # noqa: FBT001 the guide's signature
        """Explain rows one by one.

        Parameters
        ----------
        x : DataFrame, array or SciPy sparse matrix (n_rows, n_features).
        get_raw : False for the columns that the pipeline's last step sees; their sums are
            `explanation.get_raw_explanation()`.

        Raises
        ------
        RowsError
            The rows do not fit the schema.
        """
        return self._explain(self.predictor.schema.encode(x), raw=get_raw is not False)

    def explain_global(
        self,
        x: Any = None,
        get_raw: bool | None = None,  # noqa: FBT001 the guide's signature
        *,
        show_progress: bool = True,
    ) -> GlobalExplanation:
        """Explain the model over many rows: the mean absolute local values, row block by block.

        Parameters
        ----------
        x : DataFrame, array or SciPy sparse matrix; by default the initialization examples.
        get_raw : as in `explain_local`.
        show_progress : whether to show a bar on a terminal.
        """
        rows = self.view.initialization if x is None else self.predictor.schema.encode(x)
        if not rows.n_rows:
            raise ParameterError("x", "must hold at least one row")
        raw = get_raw is not False

        def explain(some: Table) -> LocalExplanation:
            return self._explain(some, raw=raw)

        return mean_absolute(explain, rows, show_progress=show_progress)

    def background_error(self, x: Any = None) -> dict[str, Any]:
        """What it costs that a summary stands for all initialization examples.

        Parameters
        ----------
        x : a few rows to measure on; by default rows mixed feature by feature from the examples.

        Returns
        -------
        `relative_rms`, the error of the values against the summary, and `measured_by`, which says
        how. An exact method takes all examples, and has none.
        """
        if self.view.full is not None:
            return {"relative_rms": 0.0, "measured_by": "the method takes all examples"}
        seed, examples = self.view.random_state, self.view.initialization
        given = mixed_rows(examples, MEASURED_ROWS, seed + 1) if x is None else x
        rows = self.predictor.schema.encode(given).take(slice(0, MEASURED_ROWS))
        fitted = self.view.kernel
        values = fitted.values(rows, self.predictor.outputs(rows))
        return background_error(self.view, fitted.game, rows, values, progress(shown=False))

    def _explain(self, rows: Table, *, raw: bool) -> LocalExplanation:
        if raw:
            explanation = self.view.explain(rows)
            return explanation if self.subset is None else explanation.select(self.subset)
        view, engineering = self.engineered, self.view.engineering
        assert engineering is not None  # noqa: S101 or there would be no such view
        explanation = view.explain(engineering.table(rows))
        if self.summed is None:
            return explanation
        names = engineering.raw.names
        return replace(explanation, feature_map=self.summed.feature_map, raw_features=names)


def _full(predictor: Predictor, examples: Table, method: Method, players: Players) -> Full | None:
    """Values that need no coalitions, where a library has them and they add up."""
    if method == "kernel" or (method == "auto" and not players.single):
        return None
    found: Full | None = None
    if method in {"auto", "deep"}:
        found = deep_shap.find(predictor, examples)
    if found is None and method != "deep":
        found = exact_shap.find(predictor, backgrounds.whole(examples), method)
    if method == "auto" or (found is not None and players.single):
        return found
    rule = f"must fit the model: shap has no {method} explainer of it in this output space"
    if not players.single:
        rule = "must be kernel where features are grouped"
    raise ParameterError("method", rule, "Use method='auto'.")
