"""The guide's scoring explainers: everything fixed, nothing random, light to load."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.coalitions import Design
from scoring.errors import ParameterError
from scoring.explanation import LocalExplanation, Scored
from scoring.games.choose import known_game
from scoring.games.game import Game
from scoring.games.rbf import Expansion, RbfGame
from scoring.kernel import BLOCK_BYTES, Kernel
from scoring.predictor import Predictor
from scoring.table import Table

__all__ = ["KernelScoringExplainer"]


NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class KernelScoringExplainer:
    """Explains rows at inference time with a fixed design of coalitions.

    Distilled from a full explainer and measured while that is done; afterwards it is a pure
    function of the row: alone, in a batch, in another order or in another process.

    Parameters
    ----------
    explainer : a `TabularExplainer`, or a ready `shap.KernelExplainer`.
    validation : rows that the fidelity report is measured on, best held-out ones; without them,
        rows mixed feature by feature from the training rows.
    tolerance : largest relative RMS error allowed; without `n_coalitions` the smallest design that
        keeps to it is chosen.
    strict : whether a missed tolerance raises; otherwise the report records it.
    n_coalitions : size of the design; by default `2 * n_features + 2048`, and all coalitions with
        up to 12 features, which is exact.
    random_state : seed of the design; nothing is drawn after distillation.
    name, version : what the artifact and every answer call the model.
    block_bytes : how much an explanation may allocate at a time beyond its answer, whatever the
        number of rows.
    progress : whether to show a bar while measuring.

    Attributes
    ----------
    predictor, background, design : what is explained, against what, through which coalitions.
    operator : float64 (n_features, n_coalitions + 2), from the values of coalitions to values.
    base_values : float64 (n_outputs,).
    sample : float64 (n_features,), a made-up row that fits the schema.
    report : what distillation measured.
    expansion : the numbers of a kernel machine, where the model is one.

    Raises
    ------
    ParameterError, FidelityError
    """

    predictor: Predictor
    background: Background
    design: Design
    operator: NDArray[np.float64]
    base_values: NDArray[np.float64]
    sample: NDArray[np.float64]
    report: dict[str, Any]
    method: str
    name: str
    version: str
    block_bytes: int
    expansion: Expansion | None = None

    def __init__(
        self,
        explainer: Any,
        *,
        validation: Any = None,
        tolerance: float | None = None,
        strict: bool = True,
        n_coalitions: int | None = None,
        random_state: int = 0,
        name: str | None = None,
        version: str | None = None,
        block_bytes: int = BLOCK_BYTES,
        progress: bool = False,
    ) -> None:
        from scoring.distil import distil, source_of  # offline only: needs scipy
        from scoring.probe import sample_row

        texts: dict[str, Any] = {"name": name, "version": version}
        for parameter, text in texts.items():
            if text is not None and not (isinstance(text, str) and NAME.fullmatch(text)):
                rule = "must be up to 64 letters, digits, dots, dashes and underscores"
                raise ParameterError(parameter, rule, "It becomes part of addresses and metrics.")
        source = source_of(explainer)
        distilled = distil(
            source,
            validation,
            tolerance=tolerance,
            strict=strict,
            n_coalitions=n_coalitions,
            random_state=random_state,
            block_bytes=block_bytes,
            progress=progress,
        )
        self.predictor = source.predictor
        self.background = source.background
        self.design = distilled.kernel.design
        self.operator = distilled.kernel.operator
        self.base_values = distilled.kernel.base_values
        self.sample = sample_row(source.predictor.schema, source.initialization)
        self.report = distilled.report
        self.method = distilled.kernel.method
        self.name = name or "model"
        self.version = version or "1"
        self.block_bytes = block_bytes
        game = distilled.kernel.game
        self.expansion = game.expansion if isinstance(game, RbfGame) else None

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Make one from its attributes, as an artifact holds them; nothing is computed."""
        explainer = cls.__new__(cls)
        explainer.__dict__.update(state)
        return explainer

    @cached_property
    def game(self) -> Game:
        """The value function, made when first needed; an artifact does not hold it."""
        return known_game(self.predictor, self.background, self.block_bytes, self.expansion)

    @property
    def features(self) -> tuple[str, ...]:
        """The features' names, in order."""
        return self.predictor.schema.names

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names, in the model's order; () for a regression."""
        return self.predictor.classes

    def explain(self, x: Any) -> list[Any]:
        """Return local importance values in the guide's layout, ready for JSON.

        Parameters
        ----------
        x : DataFrame, array (n_rows, n_features) or Table.

        Returns
        -------
        `[class][row][feature]` for a classifier, `[row][feature]` for one regression output,
        `[output][row][feature]` for several.
        """
        return self.explain_local(x).local_importance_values

    def explain_local(self, x: Any) -> LocalExplanation:
        """Return the self-describing result for the same rows."""
        rows = self.predictor.schema.encode(x)
        return self._explanation(rows, self.predictor.outputs(rows))

    def predict(self, x: Any) -> NDArray[Any]:
        """Return what the model's own `predict` answers."""
        return self.predictor.predictions(self.predictor.schema.encode(x))

    def score(self, rows: Table) -> Scored:
        """Predict and explain, calling the model no more often than needed."""
        predictor = self.predictor
        probabilities = predictor.probabilities(rows)
        explains_them = probabilities is not None and predictor.space == "probability"
        outputs = probabilities if explains_them else predictor.outputs(rows)
        assert outputs is not None  # noqa: S101 for the type checker
        return Scored(predictor.predictions(rows), probabilities, self._explanation(rows, outputs))

    def _explanation(self, rows: Table, outputs: NDArray[np.float64]) -> LocalExplanation:
        kernel = Kernel(self.game, self.design, self.operator, self.base_values, self.method)
        return LocalExplanation(
            kernel.values(rows, outputs),
            self.base_values,
            outputs,
            self.features,
            self.predictor.output_names,
            self.predictor.space,
            classification=bool(self.classes),
            method=self.method,
            n_coalitions=self.design.n_coalitions,
            background=str(self.background),
        )
