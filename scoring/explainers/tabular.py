"""The guide's TabularExplainer: the full explainer, chosen by the model."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scoring import background as backgrounds
from scoring import kernel
from scoring.errors import ParameterError
from scoring.explainers import exact_shap
from scoring.explanation import GlobalExplanation, LocalExplanation
from scoring.games.choose import game_of
from scoring.games.game import blocks
from scoring.predictor import OutputSpace, adapt
from scoring.probe import mixed_rows, with_allowances
from scoring.schema import Names, infer_for

__all__ = ["TabularExplainer", "with_transformations"]

N_BACKGROUND = 50
"""Rows of the summary that stands for a larger initialization set on the kernel path."""

GLOBAL_BLOCK_ROWS = 256

PROBED_ROWS = 10_000
"""Examples that the model is called on at once, to see whether it takes them."""


class TabularExplainer:
    """Explains a fitted model on tabular rows.

    Trees and linear models are explained exactly by shap, against the whole initialization set,
    where shap's values add up in the output space asked for. Everything else takes the kernel
    path: a weighted summary of the initialization set, and a fixed design of coalitions, so equal
    rows always get equal values.

    Parameters
    ----------
    model : fitted estimator or pipeline, or a callable of rows.
    initialization_examples : DataFrame or array (n_rows, n_features), usually the training rows.
        Up to 100 rows are the background as they are; more are summarised on the kernel path.
    features : names of the features, where the examples are an array.
    classes : names to show for the classes, in the order of the model's `classes_`.
    transformations : a fitted transformer from raw rows to what `model` takes; the explanation is
        then of the raw features.
    output_space : `probability`, `margin` or `value`. By default probability where the model has
        `predict_proba`, else margin for classifiers and value for regressions.
    n_background : rows of the summary on the kernel path.
    method : `auto`, `tree`, `linear` or `kernel`.
    n_coalitions : on the kernel path; None for `2 * n_features + 2048`, and all of them with up to
        12 features.
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
        features: Names | None = None,
        classes: Names | None = None,
        transformations: Any = None,
        *,
        output_space: OutputSpace | None = None,
        n_background: int = N_BACKGROUND,
        method: Literal["auto", "tree", "linear", "kernel"] = "auto",
        n_coalitions: int | None = None,
        random_state: int = 0,
        block_bytes: int = kernel.BLOCK_BYTES,
    ) -> None:
        if method not in {"auto", "tree", "linear", "kernel"}:
            raise ParameterError("method", "must be auto, tree, linear or kernel")
        if n_background < 1:
            raise ParameterError("n_background", "must be at least 1")
        if transformations is not None:
            model = with_transformations(model, transformations)
        schema = infer_for(model, initialization_examples, features)
        examples = schema.encode(initialization_examples)
        if not examples.n_rows:
            raise ParameterError("initialization_examples", "must hold at least one row")
        probe = examples.take(slice(0, PROBED_ROWS))
        predictor = adapt(model, schema, output_space, classes, probe)
        schema = with_allowances(schema, predictor, examples)
        self.predictor = adapt(model, schema, predictor.space, classes, probe)
        self.initialization = examples
        self.n_coalitions, self.random_state = n_coalitions, random_state
        self.block_bytes = block_bytes
        everything = backgrounds.whole(examples)
        self.exact = (
            exact_shap.find(self.predictor, everything, method) if method != "kernel" else None
        )
        if self.exact is None and method in {"tree", "linear"}:
            rule = f"must fit the model: shap has no {method} explainer of it in this output space"
            raise ParameterError("method", rule, "Use method='auto'.")
        self.summary = backgrounds.summarise(examples, n_background, random_state)
        self.background = self.summary if self.exact is None else everything

    @property
    def method(self) -> str:
        """How values are computed: `tree`, `linear` or the kernel path's own word."""
        return self.exact.method if self.exact is not None else self.kernel.method

    @property
    def features(self) -> tuple[str, ...]:
        """The features' names, in order."""
        return self.predictor.schema.names

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names, in the model's order; () for a regression."""
        return self.predictor.classes

    @cached_property
    def kernel(self) -> kernel.Kernel:
        """The kernel path over the summary, made when first needed."""
        game = game_of(self.predictor, self.summary, self.block_bytes)
        examples = mixed_rows(self.initialization, 8, self.random_state)
        return kernel.fit(game, examples, self.n_coalitions, self.random_state)

    def explain_local(self, x: Any) -> LocalExplanation:
        """Explain rows one by one.

        Parameters
        ----------
        x : DataFrame or array (n_rows, n_features).

        Raises
        ------
        RowsError
            The rows do not fit the schema.
        """
        rows = self.predictor.schema.encode(x)
        outputs = self.predictor.outputs(rows)
        if self.exact is not None:
            values, base_values = self.exact.values(rows), self.exact.base_values
        else:
            values, base_values = self.kernel.values(rows, outputs), self.kernel.base_values
        return LocalExplanation(
            values,
            base_values,
            outputs,
            self.features,
            self.predictor.output_names,
            self.predictor.space,
            classification=bool(self.classes),
            method=self.method,
            n_coalitions=0 if self.exact is not None else self.kernel.design.n_coalitions,
            background=str(self.background),
        )

    def explain_global(self, x: Any = None) -> GlobalExplanation:
        """Explain the model over many rows: the mean absolute local values, row block by block.

        Parameters
        ----------
        x : DataFrame or array; by default the initialization examples.
        """
        rows = self.initialization if x is None else self.predictor.schema.encode(x)
        if not rows.n_rows:
            raise ParameterError("x", "must hold at least one row")
        total: NDArray[np.float64] = np.zeros(())
        for some in blocks(rows.n_rows, GLOBAL_BLOCK_ROWS):
            total = total + np.abs(self.explain_local(rows.take(some)).values).sum(axis=0)
        return GlobalExplanation(
            (total / rows.n_rows).T,
            self.features,
            self.predictor.output_names,
            self.predictor.space,
            self.method,
            rows.n_rows,
            str(self.background),
        )


def with_transformations(model: Any, transformations: Any) -> Any:
    """One fitted pipeline from two fitted halves."""
    if not hasattr(transformations, "transform"):
        rule = "must be a fitted transformer, such as a ColumnTransformer or a Pipeline"
        raise ParameterError("transformations", rule)
    if not hasattr(model, "predict"):
        raise ParameterError("model", "must be an estimator where transformations are given")
    from sklearn.pipeline import Pipeline

    return Pipeline([("transformations", transformations), ("model", model)])
