"""The guide's MimicExplainer: a surrogate that can be explained exactly, and how good it is."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background, whole
from scoring.distillation.probe import mixed_rows
from scoring.errors import ModelError, ParameterError
from scoring.explainers.aggregate import mean_absolute
from scoring.explainers.arguments import Subset, chosen, understood
from scoring.explainers.task import ModelTask
from scoring.explainers.view import View
from scoring.explanation import GlobalExplanation, LocalExplanation
from scoring.feature import Feature
from scoring.frames import in_memory
from scoring.players import Players
from scoring.predictor import EstimatorModel, OutputSpace, Predictor
from scoring.schema import Names
from scoring.surrogates.fidelity import fidelity
from scoring.surrogates.surrogate import (
    Attributions,
    ExplainableModel,
    Fitted,
    codes_schema,
    fit,
)
from scoring.table import Table
from scoring.transformations import with_transformations

__all__ = ["MimicExplainer"]

HELD_OUT = 0.2
"""Share of the examples that fidelity is measured on and the surrogate never sees."""

FEWEST_HELD_OUT = 10

ROWS_A_FEATURE = 10
"""Rows for each feature that are enough; augmentation stops there. Mixed rows are unlike real ones:
where these are many enough, more would pull the surrogate away from them."""

REACHES = (sys.float_info.max, float(np.finfo(np.float32).max), 1e30, 1e15, 1e9, 1e6)
"""How far from zero a surrogate may take numbers, tried from the farthest on."""


class MimicExplainer:
    """Explains a model through a surrogate that was fitted to its answers.

    The surrogate learns the outputs themselves, in the output space that is explained, so its
    values have the same units as those of every other explainer. Against the model they add up
    but for the surrogate's own error, which every row's `additivity_gap` tells; `fidelity` tells
    it for all.

    Parameters
    ----------
    model : fitted estimator or pipeline, or a function of rows with `is_function`.
    initialization_examples : DataFrame, array or SciPy sparse matrix (n_rows, n_features), usually
        the training rows.
    explainable_model : `LGBMExplainableModel`, `LinearExplainableModel`, `SGDExplainableModel` or
        `DecisionTreeExplainableModel`.
    explainable_model_args : for the regressor that is fitted.
    is_function : whether the model is a bare function.
    augment_data : whether few examples are joined by rows mixed from them, feature by feature.
    max_num_of_augmentations : how many such rows there may be for each example.
    explain_subset : features to report, by index or name; the others add up to `remainder`.
    features, classes, transformations, model_task, output_space : as for `TabularExplainer`.
    allow_all_transformations : any transformation is fine, because the surrogate learns from raw
        features; taken so that code for other explainers runs.
    categorical_features : numbers that stand for categories, by index or name.
    n_background : rows of the summary that a scoring explainer is distilled against; by default
        as few as `TabularExplainer` takes.
    random_state : seed of everything.

    Attributes
    ----------
    predictor, surrogate : the model, and what stands for it, over the same features.
    fidelity : R², root mean square error and agreement on held-out rows.

    Raises
    ------
    ParameterError
    """

    def __init__(  # noqa: PLR0913, PLR0917 the guide's signature
        self,
        model: Any,
        initialization_examples: Any,
        explainable_model: type[ExplainableModel],
        explainable_model_args: Mapping[str, Any] | None = None,
        is_function: bool = False,  # noqa: FBT001, FBT002 the guide's signature
        augment_data: bool = True,  # noqa: FBT001, FBT002 the guide's signature
        max_num_of_augmentations: int = 10,
        explain_subset: Subset | None = None,
        features: Names | None = None,
        classes: Names | None = None,
        transformations: Any = None,
        *,
        allow_all_transformations: bool = False,  # noqa: ARG002 nothing depends on it
        categorical_features: Subset | None = None,
        model_task: Any = ModelTask.Unknown,
        output_space: OutputSpace | None = None,
        n_background: int | None = None,
        random_state: int = 0,
    ) -> None:
        _check(model, explainable_model, max_num_of_augmentations, is_function=is_function)
        initialization_examples = in_memory(initialization_examples)
        if transformations is not None:
            model = with_transformations(model, transformations, initialization_examples)
        self.predictor, examples = understood(
            model, initialization_examples, features, classes, output_space, model_task
        )
        if examples.n_rows < 2:
            rule = "must hold at least two rows to learn from"
            raise ParameterError("initialization_examples", rule)
        schema = self.predictor.schema
        self.initialization = examples
        self._n_background, self._random_state = n_background, random_state
        self.subset = chosen(explain_subset, schema.names)
        self.explainable_model = explainable_model
        numbers = chosen(categorical_features, schema.names, "categorical_features") or ()
        categorical = np.array([feature.is_category for feature in schema.features])
        categorical[list(numbers)] = True

        learnt, measured, rows = _split(examples, random_state)
        if augment_data:
            learnt = _augmented(learnt, max_num_of_augmentations, random_state)
        options = explainable_model_args or {}
        pipeline = explainable_model.pipeline(learnt.codes, categorical, random_state, options)
        self._fitted = fit(pipeline, learnt.codes, self.predictor.outputs(learnt))
        self.surrogate = _face(self._fitted, self.predictor)
        self.predictor = _within(self.predictor, self.surrogate)
        names, labels = self.predictor.output_names, self.predictor.classes
        truth, answers = self.predictor.outputs(measured), self.surrogate.outputs(measured)
        self.fidelity = {
            "explainable_model": explainable_model.name,
            **fidelity(truth, answers, names, labels, rows),
        }

    def __getstate__(self) -> dict[str, Any]:
        """Everything but what is made when first needed."""
        made = {"attributions", "view"}
        return {name: value for name, value in vars(self).items() if name not in made}

    @cached_property
    def attributions(self) -> Attributions:
        """What explains the surrogate exactly, against all initialization examples."""
        return self.explainable_model.attributions(self._fitted, self.initialization.codes)

    @cached_property
    def view(self) -> View:
        """The surrogate as a scoring explainer looks at it."""
        players = Players.of(self.features)
        return View(
            self.surrogate,
            self.initialization,
            players,
            self._n_background,
            random_state=self._random_state,
        )

    @property
    def summary(self) -> Background:
        """Few weighted rows for all initialization examples, chosen by the surrogate's answers."""
        return self.view.summary

    @cached_property
    def base_values(self) -> NDArray[np.float64]:
        """What the surrogate says of the initialization examples on average, (n_outputs,)."""
        return np.asarray(self.surrogate.outputs(self.initialization).mean(axis=0))

    @property
    def method(self) -> str:
        """How values are computed."""
        return f"mimic: {self.explainable_model.name} surrogate, explained exactly"

    @property
    def features(self) -> tuple[str, ...]:
        """The features' names, in order."""
        return self.predictor.schema.names

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names, in the model's order; () for a regression."""
        return self.predictor.classes

    def explain_local(self, x: Any, get_raw: bool | None = None) -> LocalExplanation:  # noqa: FBT001 the guide's signature
        """Explain rows one by one.

        Parameters
        ----------
        x : DataFrame, array or SciPy sparse matrix (n_rows, n_features).
        get_raw : False is not possible: the surrogate knows raw features only.

        Raises
        ------
        RowsError
            The rows do not fit the schema.
        ModelError
            Engineered columns are asked for.
        """
        if get_raw is False:
            raise ModelError(
                "a mimic explainer has no engineered columns: its surrogate learns from raw "
                "features. Leave get_raw out, or use TabularExplainer."
            )
        return self._explain(self.predictor.schema.encode(x))

    def explain_global(self, x: Any = None, *, show_progress: bool = True) -> GlobalExplanation:
        """Explain the model over many rows: the mean absolute local values.

        Parameters
        ----------
        x : DataFrame, array or SciPy sparse matrix; by default the initialization examples.
        show_progress : whether to show a bar on a terminal.
        """
        rows = self.initialization if x is None else self.predictor.schema.encode(x)
        if not rows.n_rows:
            raise ParameterError("x", "must hold at least one row")
        return mean_absolute(self._explain, rows, show_progress=show_progress)

    def _explain(self, rows: Table) -> LocalExplanation:
        outputs = self.predictor.outputs(rows)
        none = np.empty((0, len(self.features), outputs.shape[1]))
        explanation = LocalExplanation(
            self.attributions(rows.codes) if rows.n_rows else none,
            self.base_values,
            outputs,
            self.features,
            self.predictor.output_names,
            self.predictor.space,
            classification=bool(self.classes),
            method=self.method,
            background=str(whole(self.initialization)),
            fidelity=self.fidelity,
        )
        return explanation if self.subset is None else explanation.select(self.subset)


def _check(model: Any, kind: Any, n_augmentations: int, *, is_function: bool) -> None:
    if not isinstance(kind, type) or not hasattr(kind, "pipeline"):
        rule = "must be one of our classes of explainable models, not an object of one"
        fix = "Pass LGBMExplainableModel, or LinearExplainableModel, without calling it."
        raise ParameterError("explainable_model", rule, fix)
    if n_augmentations < 1:
        fix = "Pass augment_data=False for no more rows."
        raise ParameterError("max_num_of_augmentations", "must be at least 1", fix)
    if is_function and not callable(model):
        raise ParameterError("model", "must be callable where is_function is true")


def _split(examples: Table, seed: int) -> tuple[Table, Table, str]:
    """Rows to learn from and rows to measure on, and what the latter are."""
    n_held_out = int(HELD_OUT * examples.n_rows)
    if n_held_out < FEWEST_HELD_OUT:
        return examples, examples, "the rows that it was fitted to, for want of more"
    order = np.random.default_rng(seed).permutation(examples.n_rows)
    learnt, held_out = np.sort(order[n_held_out:]), np.sort(order[:n_held_out])
    return examples.take(learnt), examples.take(held_out), "initialization examples held out"


def _augmented(rows: Table, max_num: int, seed: int) -> Table:
    """Add mixed rows where there are few for so many features; the rows themselves stay."""
    wanted = ROWS_A_FEATURE * rows.codes.shape[1] - rows.n_rows
    n_more = min(max(0, wanted), max_num * rows.n_rows)
    more = mixed_rows(rows, n_more, seed)
    return rows.with_codes(np.concatenate([rows.codes, more.codes]))


def _within(predictor: Predictor, surrogate: Predictor) -> Predictor:
    """Refuse numbers that the surrogate does not take: trees, for one, work in float32.

    The surrogate is asked about all features at once, each at one end of its range: it is ours, and
    treats them alike.
    """
    features = predictor.schema.features
    for magnitude in REACHES:
        narrower = tuple(_narrowed(feature, magnitude) for feature in features)
        ends = np.array([[feature.lowest, feature.limit] for feature in narrower]).T
        ends[:, [feature.is_category for feature in features]] = 0
        if _takes(surrogate, ends):
            return replace(predictor, schema=replace(predictor.schema, features=narrower))
    return predictor


def _narrowed(feature: Feature, magnitude: float) -> Feature:
    """A feature within a magnitude, but for what its examples held."""
    if feature.is_category:
        return feature
    lowest = min(max(feature.lowest, -magnitude), feature.minimum or 0.0)
    limit = max(min(feature.limit, magnitude), feature.maximum or 0.0)
    if (lowest, limit) == (feature.lowest, feature.limit):
        return feature
    return replace(feature, lowest=lowest, limit=limit)


def _takes(surrogate: Predictor, codes: NDArray[np.float64]) -> bool:
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # of overflows, which are what is looked for
            surrogate.outputs(Table(codes, surrogate.schema.code_tables))
    except ModelError:
        return False
    return True


def _face(fitted: Fitted, predictor: Predictor) -> Predictor:
    """The surrogate as a predictor over the same features and outputs."""
    schema = codes_schema(predictor.schema)
    model = EstimatorModel(fitted.estimator, schema)
    return Predictor(model, schema, "value", (), predictor.output_names)
