"""The guide's TabularExplainer: the full explainer, chosen by the model."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Literal, get_args

from scoring import kernel
from scoring.background import Background
from scoring.distillation.background_error import background_error
from scoring.distillation.measure import progress
from scoring.distillation.probe import mixed_rows
from scoring.distillation.structure import Structure, structure_of
from scoring.errors import ModelError, ParameterError
from scoring.explainers import deep_shap
from scoring.explainers.aggregate import mean_absolute
from scoring.explainers.arguments import Subset, chosen, understood
from scoring.explainers.task import ModelTask
from scoring.explainers.view import Full, View
from scoring.explanation import GlobalExplanation, LocalExplanation
from scoring.features import Engineering, engineering_of
from scoring.frames import in_memory
from scoring.players import Groups, Players
from scoring.predictor import OutputSpace, Predictor, adapt
from scoring.schema import Names
from scoring.table import Table
from scoring.transformations import with_transformations

__all__ = ["TabularExplainer"]

MEASURED_ROWS = 8

Method = Literal["auto", "tree", "linear", "rbf", "deep", "kernel"]

KINDS: dict[str, tuple[str, ...]] = {
    "tree": ("tree",),
    "linear": ("linear", "link"),
    "rbf": ("rbf",),
}
"""What a method's name stands for, of the structures that there are."""


class TabularExplainer:
    """Explains a fitted model on tabular rows.

    Trees, linear models with their links and radial-basis kernel machines are explained exactly
    where that is what adds up in the output space asked for: against the whole initialization set
    where its size makes no difference, and up to 1,000 rows of it, else against a summary;
    networks of torch by shap's approximation for them. Everything else takes the kernel path: a
    weighted summary of the initialization set, and a fixed design of coalitions. Equal rows always
    get equal values.

    The players are raw features. A pipeline can also be explained in the columns that its last
    step sees: `get_raw=False`.

    Parameters
    ----------
    model : fitted estimator, pipeline or booster, any object with `predict` or `predict_proba`, a
        method bound to one, a torch module, or a function of rows.
    initialization_examples : DataFrame, array or SciPy sparse matrix (n_rows, n_features), usually
        the training rows. Up to 100 rows are the background as they are; more are summarised on
        the kernel path, by rows whose weights are fitted to the model's answers.
    explain_subset : features to report, by index or name. Their values are what they are without
        it; what the others add up to is the explanation's `remainder`.
    features : names of the features, where the examples are an array.
    classes : names to show for the classes, in the order of the model's `classes_`; the classes
        themselves of a model without, which are else 0 to k-1.
    transformations : a fitted transformer from raw rows to what `model` takes, a list of
        `(columns, fitted transformer or None)`, or a fitted `DataFrameMapper`.
    allow_all_transformations : whether columns that depend on several features may be shared out
        among them when engineered values are summed. Raw players are exact in any case.
    model_task : `classification` for a function or a `predict` that answers rows of probabilities;
        `regression` for the numbers of `predict`. It overrides what the model looks like.
    groups : per name a list of features that are one player.
    output_space : `probability`, `margin` or `value`. By default probability where the model has
        `predict_proba`, else margin for classifiers and value for regressions.
    n_background : rows of the summary on the kernel path; by default 25, 50 or 100, the fewest
        whose relative RMS error is within 2.5 % on rows held out.
    method : `auto`, `tree`, `linear` (with links, such as a logistic regression's), `rbf`,
        `deep` or `kernel`.
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
        n_background: int | None = None,
        method: Method = "auto",
        n_coalitions: int | None = None,
        random_state: int = 0,
        block_bytes: int = kernel.BLOCK_BYTES,
    ) -> None:
        if method not in get_args(Method):
            raise ParameterError("method", f"must be one of {', '.join(get_args(Method))}")
        if n_background is not None and n_background < 1:
            raise ParameterError("n_background", "must be at least 1")
        initialization_examples = in_memory(initialization_examples)
        if transformations is not None:
            model = with_transformations(model, transformations, initialization_examples)
        predictor, examples = understood(
            model, initialization_examples, features, classes, output_space, model_task
        )
        players = Players.of(predictor.schema.names, groups)
        self.subset = chosen(explain_subset, players.names)
        self.allow_all_transformations = allow_all_transformations
        engineering = engineering_of(predictor, examples)
        self.view = View(
            predictor,
            examples,
            players,
            n_background,
            **_without_coalitions(predictor, engineering, examples, players, method),
            engineering=engineering,
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
        """Few weighted rows for all initialization examples, for the kernel path.

        They are chosen when first needed; those of another output space are others.
        """
        return self.view.summary

    @property
    def method(self) -> str:
        """How values are computed: `exact tree`, `exact linear`, `deep`, `kernel kriging`, ..."""
        return self.view.method

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features, or of the groups that they are in, in order."""
        return self.view.players.names

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names, in the model's order; () for a regression."""
        return self.predictor.classes

    def in_space(self, output_space: OutputSpace) -> TabularExplainer:
        """Return the same explainer in another output space of the model.

        Raises
        ------
        ParameterError
            The model does not have it.
        """
        view = self.view
        own, probe = view.predictor, view.initialization.take(slice(0, 100))
        predictor = adapt(own.model, own.schema, output_space, own.classes or None, probe)
        method: Method = "kernel" if self._method == "kernel" else "auto"
        found = _without_coalitions(
            predictor, view.engineering, view.initialization, view.players, method
        )
        made: TabularExplainer = copy.copy(self)
        made.__dict__.pop("engineered", None)  # which was made for this space
        made.view = replace(view, predictor=predictor, **found)
        made._method = method
        return made

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
            players=players,
            given=partial(_over_columns, self.view, engineering),
            **_without_coalitions(predictor, None, examples, players, self._method),
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
        if self.background.table.n_rows == self.view.initialization.n_rows:
            return {"relative_rms": 0.0, "measured_by": "the background is the initialization set"}
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


def _over_columns(view: View, engineering: Engineering) -> Background:
    """The summary of raw rows, in engineered columns."""
    return engineering.background(view.summary)


def _without_coalitions(
    predictor: Predictor,
    engineering: Engineering | None,
    examples: Table,
    players: Players,
    method: Method,
) -> dict[str, Any]:
    """What makes values without coalitions: the model's own structure, or a library's explainer."""
    found: dict[str, Full | Structure | str | None]
    found = {"structure": None, "refused": None, "library": None}
    if method in KINDS or method == "auto":
        structure, found["refused"] = structure_of(predictor, engineering, examples, players)
        if structure is not None and structure.kind in KINDS.get(method, (structure.kind,)):
            found["structure"] = structure
    single = players.single
    if found["structure"] is None and single and method in {"auto", "deep"}:
        found["library"] = deep_shap.find(predictor, examples)
    if found["structure"] or found["library"]:
        return found
    if method in {"auto", "kernel"}:
        kernel.check_width(players.n_players)
        return found
    rule = f"must fit the model: it has no {method} explanation in this output space"
    if method == "deep" and not single:
        rule = "must not be deep where features are grouped"
    raise ParameterError("method", rule, "Use method='auto'.")
