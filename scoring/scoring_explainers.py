"""The guide's scoring explainers: everything fixed, nothing random, light to load."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self, get_type_hints

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.coalitions import Design
from scoring.engineered import EngineeredKernel
from scoring.errors import ModelError, ParameterError
from scoring.estimate import Estimate
from scoring.exact import Exact
from scoring.explanation import LocalExplanation, Scored
from scoring.games.choose import game_of
from scoring.games.game import Game
from scoring.games.twin import Twin
from scoring.kernel import BLOCK_BYTES, Kernel
from scoring.players import Players
from scoring.predictor import OutputSpace, Predictor
from scoring.reasons import ReasonCodes
from scoring.spaces import Space, in_space
from scoring.stages import Stage
from scoring.sub_designs import SubDesigns
from scoring.table import Table

if TYPE_CHECKING:
    pass

__all__ = ["KernelScoringExplainer", "LinearScoringExplainer", "TreeScoringExplainer"]


NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class KernelScoringExplainer:
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
    tolerance : largest relative RMS error allowed; without `n_coalitions` the smallest design that
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
    interactions : whether to keep what `explain_interactions` needs, where values do not.
    reason_codes : texts per feature and direction that go with a row's strongest features; see
        `scoring.reasons`.
    name, version : what the artifact and every answer call the model.
    block_bytes : how much an explanation may allocate at a time beyond its answer, whatever the
        number of rows.
    progress : whether to show a bar while measuring.

    Attributes
    ----------
    predictor, background : what is explained, and against what.
    base_values : float64 (n_outputs,).
    sample : float64 (n_features,), a made-up row that fits the schema.
    report : what distillation measured.
    exact : the model's structure with its background, where that makes exact values.
    design, operator : else the coalitions that are asked about, and the matrix float64
        (n_players, n_coalitions + 2) from what they are worth to values.
    sub_designs : what the standard errors come from, where the values are sampled.
    prefixes : shorter designs within the design, for when there is little time.
    twin : the numbers of a kernel machine or of a network, where the model is one.
    players : who gets the values, where features are grouped.
    subset : the features that are reported, where not all are.
    surrogate : what is explained instead of the model, where the explainer is a mimic.
    engineered : the kernel over a pipeline's columns, where asked for.
    others : what further output spaces have of their own, where asked for.

    Raises
    ------
    ParameterError, FidelityError
    """

    predictor: Predictor
    background: Background
    base_values: NDArray[np.float64]
    sample: NDArray[np.float64]
    report: dict[str, Any]
    method: str
    name: str
    version: str
    block_bytes: int
    design: Design | None = None
    operator: NDArray[np.float64] | None = None
    sub_designs: SubDesigns | None = None
    prefixes: tuple[Stage, ...] = ()
    exact: Exact | None = None
    twin: Twin | None = None
    players: Players | None = None
    subset: tuple[int, ...] | None = None
    surrogate: Predictor | None = None
    engineered: EngineeredKernel | None = None
    others: tuple[Space, ...] = ()
    reason_codes: ReasonCodes | None = None

    def __init__(
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
        name: str | None = None,
        version: str | None = None,
        block_bytes: int = BLOCK_BYTES,
        progress: bool = False,
    ) -> None:
        from scoring import attributes  # offline only: it needs scipy
        from scoring.distil import check_knobs
        from scoring.probe import sample_row
        from scoring.source import source_of

        texts: dict[str, Any] = {"name": name, "version": version}
        for parameter, text in texts.items():
            if text is not None and not (isinstance(text, str) and NAME.fullmatch(text)):
                rule = "must be up to 64 letters, digits, dots, dashes and underscores"
                raise ParameterError(parameter, rule, "It becomes part of addresses and metrics.")
        if method not in {"auto", "kernel"}:
            raise ParameterError("method", "must be auto or kernel")
        source = source_of(explainer)
        view, schema = source.view, source.predictor.schema
        self.reason_codes = attributes.reasons(reason_codes, source)
        rows = None if validation is None else schema.encode(validation)
        check_knobs(tolerance, n_coalitions, view.players.n_players)
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
        self.__dict__.update(attributes.distilled(source, rows, **way))
        self.others = attributes.further_spaces(explainer, source, output_spaces, rows, **way)
        if source.fidelity is not None:
            self.surrogate = view.predictor
            self.method = self._named(self.method)
            self.report["surrogate"] = source.fidelity
        if engineered:
            over_columns, measured = attributes.over_columns(source, rows, knobs)
            self.engineered = over_columns
            self.report["engineered"] = measured

    def _refuse(self, view: Any) -> None:
        """Refuse what this kind of scoring explainer does not explain; this kind explains all."""

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Make one from its attributes, as an artifact holds them; nothing is computed."""
        explainer = cls.__new__(cls)
        explainer.__dict__.update(state)
        return explainer

    @cached_property
    def game(self) -> Game:
        """The value function, made when first needed; an artifact does not hold it."""
        explained = self.surrogate or self.predictor
        return game_of(explained, self.background, self.block_bytes, self.twin)

    @cached_property
    def kernel(self) -> Kernel:
        """Design, operator and value function together."""
        assert self.design is not None  # noqa: S101 an artifact has one of both
        assert self.operator is not None  # noqa: S101 an artifact has one of both
        method = "exact enumeration" if self.design.exact else self.method
        whole = Stage(self.operator, method, self.sub_designs)
        fixed = self.game, self.design, self.base_values, whole, self.players
        return Kernel(*fixed, self.prefixes)

    @property
    def output_spaces(self) -> tuple[OutputSpace, ...]:
        """The output spaces that can be explained, the default first."""
        return (self.predictor.space, *(other.predictor.space for other in self.others))

    @cached_property
    def _in_spaces(self) -> dict[str, KernelScoringExplainer]:
        state = {name: getattr(self, name) for name in get_type_hints(type(self))}
        every: dict[str, KernelScoringExplainer] = {self.predictor.space: self}
        for other in self.others:
            every[other.predictor.space] = self.restore(in_space(state, other))
        return every

    def in_space(self, output_space: str) -> KernelScoringExplainer:
        """Return the explainer of one of the `output_spaces` alone.

        Raises
        ------
        ParameterError
            It was not distilled for this space.
        """
        if output_space not in self._in_spaces:
            rule = f"must be one of {', '.join(self.output_spaces)}"
            raise ParameterError("output_space", rule, "Distil with output_spaces for more.")
        return self._in_spaces[output_space]

    @property
    def features(self) -> tuple[str, ...]:
        """The names of what gets a value: features, or the groups that they are in, in order."""
        names = self.predictor.schema.names if self.players is None else self.players.names
        return names if self.subset is None else tuple(names[j] for j in self.subset)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names, in the model's order; () for a regression."""
        return self.predictor.classes

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
            return self._explanation(rows, self.predictor.outputs(rows), until)
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
        explained = self.surrogate or self.predictor
        return self.exact.interactions(rows, explained, self.block_bytes)

    def predict(self, x: Any) -> NDArray[Any]:
        """Return what the model's own `predict` answers."""
        return self.predictor.predictions(self.predictor.schema.encode(x))

    def score(self, rows: Table, deadline_ms: float | None = None) -> Scored:
        """Predict and explain, calling the model no more often than needed.

        Parameters
        ----------
        deadline_ms : as in `explain_local`.
        """
        until, predictor = _until(deadline_ms), self.predictor
        probabilities = predictor.probabilities(rows)
        explains_them = probabilities is not None and predictor.space == "probability"
        outputs = probabilities if explains_them else predictor.outputs(rows)
        assert outputs is not None  # noqa: S101 for the type checker
        explanation = self._explanation(rows, outputs, until)
        return Scored(predictor.predictions(rows), probabilities, explanation)

    def _estimate(self, rows: Table, outputs: NDArray[np.float64], until: float) -> Estimate:
        """Attributions (n_rows, n_players, n_outputs), given what the served model says."""
        explained = self.surrogate or self.predictor
        if self.exact is not None:
            values = self.exact.values(rows, explained, self.block_bytes)
            return Estimate.exact(values, self.exact.method, self.exact.error)
        told = outputs if self.surrogate is None else self.surrogate.outputs(rows)
        return self.kernel.estimate(rows, told, until)

    def _named(self, method: str) -> str:
        """A method, and of what it is."""
        return method if self.surrogate is None else f"{method} of a surrogate"

    def _explanation(
        self, rows: Table, outputs: NDArray[np.float64], until: float
    ) -> LocalExplanation:
        """Explain rows, given what the served model says of them."""
        estimate = self._estimate(rows, outputs, until)
        told = self.report["background_error"]["relative_rms"]
        players = self.predictor.schema.names if self.players is None else self.players.names
        names = self.predictor.output_names
        explanation = LocalExplanation(
            estimate.values,
            self.base_values,
            outputs,
            players,
            names,
            self.predictor.space,
            classification=bool(self.classes),
            method=self._named(estimate.method),
            n_coalitions=estimate.n_coalitions,
            background=str(self.background) if self.exact is None else self.exact.background,
            standard_errors=estimate.standard_errors,
            degrees_of_freedom=estimate.degrees_of_freedom,
            background_error=None if told is None else float(told),
            fidelity=self.report.get("surrogate"),
        )
        if self.subset is not None:
            explanation = explanation.select(self.subset)
        if self.reason_codes is None:
            return explanation
        told = self.reason_codes.of(explanation.values, explanation.features, names)
        return replace(explanation, reason_codes=told)


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
