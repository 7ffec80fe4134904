"""A model as ONNX files, run by ONNX Runtime: no pickle, no scikit-learn, no pandas."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ArtifactUnsupported, ModelError, ParameterError
from scoring.feature import Category
from scoring.forms.edges import STRANGER
from scoring.forms.onnx_check import parse
from scoring.forms.refused import first_line
from scoring.machine import usable_cpus
from scoring.predictor import OutputSpace
from scoring.table import Table

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["OnnxModel", "file_name"]

NUMBERS = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64,
           "tensor(int32)": np.int32, "tensor(bool)": np.bool_}  # fmt: skip
MISSING = "nan"
LABELS = ("tensor(int64)", "tensor(int32)", "tensor(string)", "tensor(bool)")


class OnnxModel:
    """A model whose answers come from ONNX files, one for each output space.

    Parameters
    ----------
    files : the content of each file by the space it answers in; the first also answers `predict`.
    labels : the classes in the order of the file's scores; () for a regression.
    n_known : of a copy of another model, how many categories training saw of each feature; of what
        it did not see nothing is taken for a missing one.
    """

    def __init__(
        self,
        files: Mapping[OutputSpace, bytes],
        labels: Sequence[Any] = (),
        n_known: Sequence[int] = (),
    ) -> None:
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when the library is imported
        self.files = dict(files)
        self.labels = tuple(labels)
        self.spaces = tuple(files)
        self.n_known = tuple(n_known)
        self._graphs = {space: _Graph(data, file_name(space, self.spaces[0]), n_known)
                        for space, data in files.items()}  # fmt: skip

    @property
    def named_classes(self) -> tuple[Any, ...]:
        """The classes that the first file names itself; () where it names none."""
        first = file_name(self.spaces[0], self.spaces[0])
        return class_labels(parse(self.files[self.spaces[0]], first))

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        output_space: OutputSpace | None = None,
        labels: Sequence[Any] | None = None,
    ) -> OnnxModel:
        """Take an ONNX file as the model.

        Parameters
        ----------
        path : an exported model: one input per feature, or one (n_rows, n_features).
        output_space : the space of its scores; by default `probability` for a model that answers
            labels and `value` for one that does not.
        labels : the classes in the order of the scores; by default those in the file.

        Raises
        ------
        ArtifactError
            A file that is not an ONNX model, or reaches outside itself.
        ParameterError
            A classifier whose file does not name its classes.
        """
        data = Path(path).read_bytes()
        model = without_zipmap(parse(data, str(path)))
        graph = _Graph(model.SerializeToString(), str(path))
        space = output_space or ("value" if graph.label is None else "probability")
        if labels is None and space != "value":
            labels = class_labels(model)
            if not labels:
                fix = "Pass labels=[...] in the order of the file's scores."
                raise ParameterError("labels", "must be given for a file that names none", fix)
        return cls({space: model.SerializeToString()}, tuple(labels or ()))

    def outputs(self, table: Table, space: OutputSpace) -> NDArray[np.float64]:
        """Return outputs (n_rows, n_outputs) in an output space."""
        scores = self._graphs[space].scores_of(table)
        if len(self.labels) == 2 and space == "margin" and scores.shape[1] == 2:
            return scores[:, 1:]  # a binary margin speaks for the second class
        if len(self.labels) == 2 and space == "probability" and scores.shape[1] == 1:
            return np.hstack([1 - scores, scores])
        return scores

    def predict(self, table: Table) -> NDArray[Any]:
        """Return the file's own labels, or its value."""
        first = self._graphs[self.spaces[0]]
        if first.label is not None:
            said = first.labels_of(table)
            return np.asarray(said, np.asarray(self.labels).dtype) if self.labels else said
        outputs = self.outputs(table, self.spaces[0])
        if not self.labels:
            return outputs[:, 0] if outputs.shape[1] == 1 else outputs
        one_column = outputs.shape[1] == 1
        chosen = (outputs[:, 0] > 0).astype(np.intp) if one_column else outputs.argmax(axis=1)
        return np.asarray(np.asarray(self.labels)[chosen])


class _Graph:
    """One file in a session: which inputs it takes, and which of its outputs mean what."""

    def __init__(self, data: bytes, file: str, n_known: Sequence[int] = ()) -> None:
        self.n_known = tuple(n_known)
        self.session = _session(data, file)
        self.inputs = [(i.name, i.type, i.shape) for i in self.session.get_inputs()]
        outputs = [(o.name, o.type) for o in self.session.get_outputs()]
        self.label = next((name for name, kind in outputs if kind in LABELS), None)
        scores = [name for name, kind in outputs if kind in ("tensor(float)", "tensor(double)")]
        if len(scores) != 1:
            again = "Export it with one tensor of scores or values among its outputs."
            raise ArtifactUnsupported(file, f"it answers {len(scores)} tensors of numbers", again)
        self.scores = scores[0]

    def scores_of(self, table: Table) -> NDArray[np.float64]:
        """Scores or values, (n_rows, n_outputs)."""
        answer = np.asarray(self._run(self.scores, table), dtype=np.float64)
        return answer.reshape(table.n_rows, -1)

    def labels_of(self, table: Table) -> NDArray[Any]:
        """Labels, (n_rows,)."""
        return np.asarray(self._run(self.label, table)).reshape(table.n_rows)

    def _run(self, output: str | None, table: Table) -> Any:
        try:
            return self.session.run([output], self._feed(table))[0]
        except Exception as error:
            raise ModelError(
                f"the ONNX model does not take the rows: {first_line(error)}"
            ) from error

    def _feed(self, table: Table) -> dict[str, NDArray[Any]]:
        """Codes as the inputs want them: one matrix, or a column for each feature in order."""
        n_features = table.codes.shape[1]
        if len(self.inputs) == 1 and (n_features > 1 or self.inputs[0][2][-1:] != [1]):
            name, kind, _ = self.inputs[0]
            if any(table.categories):
                raise ModelError("an ONNX model with one input takes numbers, not categories")
            return {name: _cast(table.codes, _number(kind))}
        if len(self.inputs) != n_features:
            rule = f"the ONNX model has {len(self.inputs)} inputs for {n_features} features"
            raise ModelError(rule)
        n_known = self.n_known or tuple(map(len, table.categories))
        return {
            name: _column(table.codes[:, j], table.categories[j], kind, n_known[j])[:, np.newaxis]
            for j, (name, kind, _) in enumerate(self.inputs)
        }


def file_name(space: OutputSpace, first: OutputSpace) -> str:
    """Name the file of a space: `model.onnx` for the first, `model.margin.onnx` for another."""
    return "model.onnx" if space == first else f"model.{space}.onnx"


def _number(kind: str) -> type[np.generic]:
    if kind not in NUMBERS:
        raise ModelError(f"the ONNX model takes {kind} where the rows have numbers")
    return cast("type[np.generic]", NUMBERS[kind])


def _column(
    codes: NDArray[np.float64], categories: tuple[Category, ...], kind: str, n_known: int
) -> NDArray[Any]:
    """One feature (n_rows,); a missing text is `nan`, which is what skl2onnx compares it with.

    So somebody's text `nan` that training never saw is written as another one it never saw.
    """
    if kind == "tensor(string)":
        texts = [str(category) for category in categories]
        unseen = (STRANGER if text == MISSING else text for text in texts[n_known:])
        words = np.array([*texts[:n_known], *unseen, MISSING], dtype=object)
        return words[np.nan_to_num(codes, nan=-1).astype(np.intp)]
    number = _number(kind)
    if not np.issubdtype(number, np.floating) and np.isnan(codes).any():
        raise ModelError(f"the ONNX model takes {kind}, where nothing can be missing")
    if categories:
        # A double does not tell all whole numbers apart, so an input of whole ones gets no double.
        missing = math.nan if np.issubdtype(number, np.floating) else 0
        codes = np.array([*categories, missing])[np.nan_to_num(codes, nan=-1).astype(np.intp)]
    return _cast(codes, number)


def _cast(codes: NDArray[Any], number: type[np.generic]) -> NDArray[Any]:
    """To the input's type; what float32 cannot hold is infinite there, as for the original."""
    with np.errstate(over="ignore"):
        return codes.astype(number)


def _session(data: bytes, file: str) -> Any:
    import onnxruntime

    parse(data, file)
    onnxruntime.disable_telemetry_events()  # a scoring process tells nobody what it runs
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised; nothing is printed beside it
    options.intra_op_num_threads = usable_cpus()
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        remedy = "Export the model for operators that ONNX Runtime has."
        raise ArtifactUnsupported(file, first_line(error), remedy) from error


def class_labels(model: ModelProto) -> tuple[Any, ...]:
    """The classes that an ONNX classifier names, in its order; () where none does.

    They are where its output of labels comes from: the nodes inside an ensemble number theirs.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    label = next((o.name for o in model.graph.output if _is_label(o)), None)
    if label is None:
        return next(filter(None, map(_named_by, model.graph.node)), ())
    for _ in model.graph.node:  # as many turns as there may be
        if label in makers and makers[label].op_type in PASSED_ON:
            label = makers[label].input[0]
    maker = makers.get(label)
    if maker is None:
        return ()
    return _named_by(maker) or (_held(model, maker) if maker.op_type in CHOOSERS else ())


PASSED_ON = ("Cast", "Reshape", "Identity", "Squeeze", "Flatten")
"""Operators that labels go through unchanged."""

CHOOSERS = ("ArrayFeatureExtractor", "Gather")
"""Operators that choose from an array of labels."""


def _is_label(output: Any) -> bool:
    import onnx

    kinds = onnx.TensorProto
    labels = {kinds.INT64, kinds.INT32, kinds.STRING, kinds.BOOL}
    return output.type.tensor_type.elem_type in labels


def _named_by(node: Any) -> tuple[Any, ...]:
    """The classes that one node names."""
    for attribute in node.attribute:
        if attribute.name.startswith("classlabels_") and attribute.ints:
            return tuple(attribute.ints)
        if attribute.name.startswith("classlabels_") and attribute.strings:
            return tuple(word.decode() for word in attribute.strings)
    return ()


def _held(model: ModelProto, node: Any) -> tuple[Any, ...]:
    """The labels that a node chooses from, where the file holds them."""
    import onnx

    for held in model.graph.initializer:
        if held.name == node.input[0]:
            values = onnx.numpy_helper.to_array(held).ravel().tolist()
            return tuple(v.decode() if isinstance(v, bytes) else v for v in values)
    return ()


def without_zipmap(model: ModelProto) -> ModelProto:
    """Let the scores leave as a matrix, where an exporter wrapped them into a map per row."""
    import onnx

    maps = {node.output[0]: node for node in model.graph.node if node.op_type == "ZipMap"}
    for output in model.graph.output:
        if output.name in maps:
            kind = onnx.TensorProto.FLOAT
            scores = maps[output.name].input[0]
            output.CopyFrom(onnx.helper.make_tensor_value_info(scores, kind, [None, None]))
    for node in maps.values():
        model.graph.node.remove(node)
    return model
