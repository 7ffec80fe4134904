"""A model and an explainer small enough to be right at a glance; they fail on demand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring import LocalExplanation
from scoring.explanation import Scored
from scoring.feature import Feature
from scoring.predictor import OutputSpace, Predictor
from scoring.schema import FeatureSchema
from scoring.table import Table
from service.scorer import Scorer

RAISE = -86604.25
"""An `age` at which the model raises, with the row's values in its message. No time and no
identifier is written like it, so that a text can be searched for it."""
NOT_A_NUMBER = -777.0
"""An `age` at which the model answers NaN."""

SCHEMA = FeatureSchema(
    (
        Feature("age", "number", minimum=18.0, maximum=90.0),
        Feature("rooms", "integer", "int64", minimum=1.0, maximum=9.0, allows_missing=True),
        Feature("owner", "boolean", "bool"),
        Feature("city", "category", "object", categories=("Ghent", "Lille"), allows_unseen=True),
        Feature("plan", "category", "object", categories=("basic", "plus"), allows_missing=True),
    ),
    frame=True,
)

ROWS: list[dict[str, Any]] = [
    {"age": 31.5, "rooms": 4, "owner": True, "city": "Ghent", "plan": "plus"},
    {"age": 54, "rooms": None, "owner": False, "city": "Lille", "plan": None},
    {"age": 27.25, "rooms": 2, "owner": True, "city": "Lille", "plan": "basic"},
]


@dataclass(frozen=True, eq=False)
class FakeModel:
    """The probability of "yes" is 0.5 plus a weight for each code."""

    schema: FeatureSchema = SCHEMA
    spaces: tuple[OutputSpace, ...] = ("probability",)
    labels: tuple[Any, ...] = ("no", "yes")
    raises: bool = True

    @property
    def weights(self) -> NDArray[np.float64]:
        return 1e-3 / np.arange(1.0, self.schema.n_features + 1)

    def outputs(self, table: Table, space: OutputSpace) -> NDArray[np.float64]:
        first = table.codes[:, 0]
        if self.raises and (first == RAISE).any():
            raise RuntimeError(f"cannot convert {table.codes.tolist()} to something better")
        yes = 0.5 + np.nan_to_num(table.codes) @ self.weights
        yes[first == NOT_A_NUMBER] = np.nan
        return np.column_stack([1 - yes, yes])

    def predict(self, table: Table) -> NDArray[Any]:
        likeliest = np.nan_to_num(self.outputs(table, "probability")).argmax(axis=1)
        return np.asarray(self.labels, dtype=object)[likeliest]


@dataclass(frozen=True, eq=False)
class FakeExplainer:
    """The exact explanation of FakeModel against a background of zeros."""

    model: FakeModel
    name: str
    sample: NDArray[np.float64]
    version: str = "7"
    block_bytes: int = 2**28

    def with_block_bytes(self, block_bytes: int) -> FakeExplainer:
        return replace(self, block_bytes=block_bytes)

    @property
    def predictor(self) -> Predictor:
        names = ("stays", "moves")
        return Predictor(self.model, self.model.schema, "probability", names, names)

    @property
    def features(self) -> tuple[str, ...]:
        return self.model.schema.names

    @property
    def reference(self) -> None:
        return None

    @property
    def output_spaces(self) -> tuple[OutputSpace, ...]:
        return ("probability",)

    def in_space(self, output_space: str) -> FakeExplainer:
        assert output_space == "probability"
        return self

    def score(
        self, rows: Table, deadline_ms: float | None = None, *, explain: Any = True, **_: Any
    ) -> Scored:
        predictions, chances = self.predictor.predictions(rows), self.predictor.outputs(rows)
        if explain is True:
            return Scored(predictions, chances, self._explanation(rows))
        mask = explain(predictions, chances) if callable(explain) else np.zeros(rows.n_rows, bool)
        places = np.flatnonzero(mask)
        return Scored(predictions, chances, self._explanation(rows.take(places)), places)

    def _explanation(self, table: Table) -> LocalExplanation:
        outputs = self.predictor.outputs(table)
        yes = np.nan_to_num(table.codes) * self.model.weights
        yes[np.isnan(outputs).any(axis=1)] = np.nan
        return LocalExplanation(
            values=np.stack([-yes, yes], axis=2),
            base_values=np.array([0.5, 0.5]),
            outputs=outputs,
            features=self.predictor.schema.names,
            output_names=self.predictor.output_names,
            output_space="probability",
            classification=True,
            method="fake",
            n_coalitions=32,
        )


def fake_scorer(*, raises: bool = True) -> Scorer:
    """A scorer as `load_scorers` would make it; `raises` for one whose model has a bug."""
    sample = np.array([40.0, 3.0, 1.0, 0.0, np.nan])
    return Scorer("houses", FakeExplainer(FakeModel(raises=raises), "houses", sample), "ab" * 32)


def tiny_scorer() -> Scorer:
    """One of a single feature, with integers for labels."""
    model = FakeModel(FeatureSchema((Feature("data"),)), labels=(0, 1))
    return Scorer("tiny", FakeExplainer(model, "tiny", np.array([0.5])), "cd" * 32)


def in_columns(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Rows as pandas' `to_json()` writes them."""
    return {name: {str(i): row[name] for i, row in enumerate(rows)} for name in rows[0]}


def in_split(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows in split orientation, with an index."""
    index = list(range(len(rows)))
    names = list(rows[0])
    return {"columns": names, "index": index, "data": [[r[n] for n in names] for r in rows]}
