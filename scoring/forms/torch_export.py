"""A torch network as ONNX, by torch's own exporter, if the copy answers like the original.

The older of torch's two exporters: it needs torch alone, and small networks are its daily work.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.errors import ArtifactError, ArtifactUnsupported
from scoring.forms import edges
from scoring.forms.onnx import OnnxModel
from scoring.forms.parity import Parity
from scoring.forms.refused import FormRefused, first_line
from scoring.network import Network
from scoring.predictor import CallableModel, Model, OutputSpace, Predictor
from scoring.table import Table

__all__ = ["exported", "takes"]


@dataclass(frozen=True, eq=False)
class _Named:
    """A network that answers what its predictor makes of it: the names of classes, too."""

    predictor: Predictor

    @property
    def spaces(self) -> tuple[OutputSpace, ...]:
        """The one space that the caller named."""
        return (self.predictor.space,)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes that the caller named."""
        return self.predictor.classes

    def outputs(self, table: Table, space: OutputSpace) -> NDArray[np.float64]:
        """Return outputs (n_rows, n_outputs)."""
        return self.predictor.model.outputs(table, space)

    def predict(self, table: Table) -> NDArray[Any]:
        """Return the likeliest class or the value."""
        return self.predictor.predictions(table)


def takes(model: Model) -> bool:
    """Whether this is a network."""
    return isinstance(model, CallableModel) and isinstance(model.function, Network)


def exported(
    predictor: Predictor, background: Background, sample: NDArray[np.float64]
) -> tuple[OnnxModel, dict[str, Any]]:
    """Export a network and hold the copy against it.

    Parameters
    ----------
    predictor : of a model that is taken here.
    sample : float64 (n_features,), a row that was made up.

    Returns
    -------
    The copy, and what the manifest says of it.

    Raises
    ------
    ArtifactUnsupported
        It cannot be exported, or its copy answers otherwise.
    """
    try:
        if predictor.classes and len(predictor.classes) != len(predictor.output_names):
            raise FormRefused("it answers one probability for two classes")
        model = OnnxModel({predictor.space: _bytes(predictor, sample)}, predictor.classes)
        held_out = edges.held_out_rows(background, sample)
        edge_rows = edges.edge_rows(predictor.schema, background)
        parity = Parity.of(_Named(predictor), [predictor.space], held_out, edge_rows)
        return model, {"inputs": "torch matrix", "parity": parity.check(model), "refused": []}
    except (FormRefused, ArtifactError) as error:
        remedy = "Export it with torch.onnx.export and explain OnnxModel.open('model.onnx')."
        problem = f"the network does not become ONNX: {first_line(error)}"
        raise ArtifactUnsupported("the model", problem, remedy) from error


def _bytes(predictor: Predictor, sample: NDArray[np.float64]) -> bytes:
    import torch

    network: Network = getattr(predictor.model, "function")  # noqa: B009 `takes` was asked before
    file = io.BytesIO()
    rows = network.tensor(np.stack([sample, sample]))  # two: a dimension of one may be dropped
    n_rows = {"rows": {0: "n_rows"}, "scores": {0: "n_rows"}}
    try:
        with network.evaluating(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its age, and of what parity finds out
            torch.onnx.export(
                network.module,
                (rows,),
                file,
                input_names=["rows"],
                output_names=["scores"],
                dynamic_axes=n_rows,
                dynamo=False,
            )
    except Exception as error:  # the exporter refuses in many ways
        raise FormRefused(first_line(error)) from error
    return file.getvalue()
