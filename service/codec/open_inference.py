"""Bodies of the Open Inference Protocol V2, with its extension for binary tensors.

Rows come as a tensor for each feature, `[n_rows]` or `[n_rows, 1]`; or, where every feature is a
number, as one tensor `[n_rows, n_features]`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.encode import Violations
from scoring.errors import LISTED_VIOLATIONS
from scoring.explanation import Scored
from scoring.feature import Feature
from scoring.schema import FeatureSchema
from scoring.table import Table
from service.codec.answer import to_json
from service.codec.instances import broken
from service.codec.json_text import RepeatedKeys, parse
from service.codec.orientations import Columns, read
from service.codec.rows import Rows, checked
from service.codec.structure import check_structure
from service.codec.tensors import (
    DATATYPES,
    datatype_of,
    flat,
    from_binary,
    is_of,
    numbers,
    to_binary,
)
from service.errors import BadOption, BrokenBody, TooManyRows

__all__ = [
    "Answer",
    "InferRequest",
    "Output",
    "input_documents",
    "labels_of",
    "output_documents",
    "read_infer",
    "sample_table",
    "to_infer",
]

PREDICTED = ("predict", "probabilities")
EXPLAINED = ("local_importance_values", "base_values", "standard_errors", "additivity_gap")
"""Outputs that an explanation is needed for."""

_MATRIX = "rows"
_REGION = "shared_memory_region"
_LONGEST_ID = 128
Elements = list[Any] | NDArray[Any]


@dataclass(frozen=True)
class Output:
    """An output that was asked for, and whether as bytes."""

    name: str
    binary: bool


@dataclass(frozen=True, eq=False)
class InferRequest:
    """What a request asks: rows, outputs and options."""

    rows: Rows
    outputs: tuple[Output, ...]
    parameters: dict[str, Any]
    id: str | None

    @property
    def explain(self) -> bool:
        """Whether an output needs an explanation."""
        return any(output.name in EXPLAINED for output in self.outputs)


@dataclass(frozen=True)
class Answer:
    """A body, and how many bytes of it are JSON; None where all of them are."""

    content: bytes
    header_length: int | None


@dataclass(frozen=True, eq=False)
class _Tensor:
    """An input as it came; `elements` are row-major."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    elements: Elements


def read_infer(
    body: bytes, header_length: str | None, schema: FeatureSchema, max_rows: int
) -> InferRequest:
    """Read the body of `infer`.

    Parameters
    ----------
    header_length : how many bytes of the body are JSON, as the request's header says; None where
        all of them are.

    Raises
    ------
    BrokenBody, TooManyRows, TooManyValues, RowsError
        It cannot be read, is too long, or breaks rules.
    BadOption
        It asks for what there is not.
    """
    text, raw = _split(body, header_length)
    check_structure(text, schema.n_features, max_rows, tensors=True)
    content = parse(text)
    if not isinstance(content, dict) or isinstance(content, RepeatedKeys):
        broken("the body must be an object that does not repeat a key")
    tensors = _tensors(content.get("inputs"), raw, schema.n_features, max_rows)
    parameters = dict(_parameters(content, "the request"))
    all_binary = _flag(parameters.pop("binary_data_output", None), "binary_data_output")
    return InferRequest(
        rows=checked(_columns(tensors, schema, max_rows), schema),
        outputs=_outputs(content.get("outputs"), binary=all_binary),
        parameters=parameters,
        id=_id(content.get("id")),
    )


def _split(body: bytes, header_length: str | None) -> tuple[bytes, bytes]:
    if header_length is None:
        return body, b""
    fits = header_length.isascii() and header_length.isdecimal() and len(header_length) < 18
    if not fits or int(header_length) > len(body):
        rule = "must be the number of bytes of JSON that the body begins with"
        raise BrokenBody(f"Inference-Header-Content-Length {rule}.")
    return body[: int(header_length)], body[int(header_length) :]


def _parameters(owner: Mapping[str, Any], whose: str) -> dict[str, Any]:
    parameters = owner.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict) or isinstance(parameters, RepeatedKeys):
        raise BadOption(f"The parameters of {whose} must be an object that repeats no key.")
    return parameters


def _id(given: Any) -> str | None:
    """The client's id, which goes back: text that JSON and UTF-8 can write."""
    if given is None:
        return None
    if not isinstance(given, str) or len(given) > _LONGEST_ID or not given.isprintable():
        raise BadOption(f"id must be a printable text of at most {_LONGEST_ID} characters.")
    return given


def _outputs(given: Any, *, binary: bool) -> tuple[Output, ...]:
    """What is asked for; predictions alone where nothing is."""
    if given is None or given == []:
        return (Output("predict", binary),)
    known = (*PREDICTED, *EXPLAINED)
    if not isinstance(given, list) or not all(
        isinstance(output, dict) and output.get("name") in known for output in given
    ):
        raise BadOption(f"outputs must be a list of objects whose name is {_one_of(known)}.")
    names = [output["name"] for output in given]
    if len(set(names)) < len(names):
        raise BadOption("outputs must not repeat a name.")
    return tuple(_output(output, binary=binary) for output in given)


def _output(given: dict[str, Any], *, binary: bool) -> Output:
    """One output. Parameters of other servers are passed over, unless they ask for another form."""
    parameters = _parameters(given, "an output")
    if parameters.get("classification") or _REGION in parameters:
        raise BadOption("Outputs come as tensors in the answer, not as classes or in a region.")
    return Output(
        given["name"], _flag(parameters.get("binary_data"), "binary_data", default=binary)
    )


def _flag(given: Any, name: str, *, default: bool = False) -> bool:
    """A parameter that is true or false; null is as good as not given."""
    if given is not None and not isinstance(given, bool):
        raise BadOption(f"The parameter {name} must be true or false.")
    return default if given is None else given


def _one_of(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _tensors(given: Any, raw: bytes, n_features: int, max_rows: int) -> list[_Tensor]:
    """Read the inputs; tensors without `data` have their bytes in `raw`, in their order."""
    if not isinstance(given, list) or not given:
        broken("inputs must be a list of tensors")
    if len(given) > 2 * n_features + LISTED_VIOLATIONS:  # more than are worth a look at each
        broken(f"inputs must be {n_features} tensors, not {len(given)}")
    violations, tensors, start = Violations(), [], 0
    for place, tensor in enumerate(given):
        size = _binary_size(tensor)
        found: _Tensor | str
        if isinstance(size, str):
            found, size = size, None
        else:
            found = _tensor(tensor, None if size is None else raw[start : start + size], max_rows)
        start += size or 0
        if isinstance(found, str):
            violations.add(None, None, f"input {place} (counted from 0) {found}")
        else:
            tensors.append(found)
    if start != len(raw):
        rule = "the bytes after the JSON must be as many as all binary_data_size say"
        violations.add(None, None, rule)
    violations.raise_if_any()
    return tensors


def _binary_size(tensor: Any) -> int | str | None:
    """How many bytes of a tensor come after the JSON, None where its data is in it; or the rule."""
    parameters = tensor.get("parameters") if isinstance(tensor, dict) else None
    if parameters is None:
        return None
    if not isinstance(parameters, dict) or isinstance(parameters, RepeatedKeys):
        return "must have parameters that are an object that repeats no key"
    size = parameters.get("binary_data_size")
    if size is None and _REGION in parameters:
        return "must be in the request: shared memory is not read"
    if size is None or (type(size) is int and size >= 0):
        return size
    return "must have a binary_data_size that is a number of bytes"


def _tensor(given: Any, raw: bytes | None, max_rows: int) -> _Tensor | str:
    """Read one input, or say which rule it breaks."""
    if not isinstance(given, dict) or isinstance(given, RepeatedKeys):
        return "must be an object that does not repeat a key"
    name, datatype, shape = given.get("name"), given.get("datatype"), _shape(given.get("shape"))
    if not isinstance(name, str):
        return "must have a name that is text"
    if datatype not in DATATYPES:
        return f"must have one of the datatypes {', '.join(DATATYPES)}"
    if shape is None:
        return "must have a shape [n_rows], [n_rows, 1] or [n_rows, n_features]"
    if shape[0] > max_rows:  # before any of its elements becomes an object
        raise TooManyRows(max_rows)
    if (raw is None) == ("data" not in given):
        return "must have either data, or binary_data_size among its parameters"
    elements = _in_json(given["data"], datatype, shape) if raw is None else None
    if raw is not None:
        elements = from_binary(datatype, raw, math.prod(shape))
    if elements is None:
        how = "flat or nested, null where one is missing" if raw is None else "texts in UTF-8"
        return f"must have data as its shape and datatype say, {how}"
    return _Tensor(name, datatype, shape, elements)


def _in_json(data: Any, datatype: str, shape: Sequence[int]) -> Elements | None:
    elements = flat(data, shape)
    if elements is None or not is_of(datatype, elements):
        return None
    return elements if datatype in {"BOOL", "BYTES"} else numbers(elements)


def _shape(given: Any) -> tuple[int, ...] | None:
    if not isinstance(given, list) or len(given) not in {1, 2}:
        return None
    fits = all(type(length) is int and 0 <= length < 2**31 for length in given)
    return tuple(given) if fits else None


def _columns(tensors: list[_Tensor], schema: FeatureSchema, max_rows: int) -> Columns:
    """Tensors as columns of the schema's order."""
    if len(tensors) == 1 and len(tensors[0].shape) == 2 and tensors[0].name not in schema.names:
        return _matrix(tensors[0], schema, max_rows)
    for place, tensor in enumerate(tensors):
        if len(tensor.shape) == 2 and tensor.shape[1] != 1:
            broken(f"input {place} (counted from 0) must have the shape [n_rows] or [n_rows, 1]")
    kinds = {feature.name: feature for feature in schema.features}
    pairs = [(t.name, _for_feature(t, kinds.get(t.name))) for t in tensors]
    return _by_name(pairs, schema.names, max_rows)


def _matrix(tensor: _Tensor, schema: FeatureSchema, max_rows: int) -> Columns:
    """One tensor (n_rows, n_features) of numbers, in the schema's order."""
    width = tensor.shape[1]
    numeric = not any(feature.is_category or feature.is_time for feature in schema.features)
    if tensor.datatype in {"BOOL", "BYTES"} or not numeric:
        broken("one tensor can hold all features where they and it are numbers; else send one each")
    if width != schema.n_features:
        broken(f"a tensor of all features must have the shape [n_rows, {schema.n_features}]")
    columns = [tensor.elements[j::width] for j in range(width)]
    return _by_name(list(zip(schema.names, columns, strict=True)), schema.names, max_rows)


def _for_feature(tensor: _Tensor, feature: Feature | None) -> Elements:
    """Elements as the schema takes them: categories, and what it must refuse, one by one."""
    elements = tensor.elements
    if isinstance(elements, np.ndarray) and (feature is None or feature.is_category):
        return [None if element != element else element for element in elements.tolist()]  # noqa: PLR0124 NaN
    return elements


def _by_name(pairs: list[tuple[str, Elements]], names: Sequence[str], max_rows: int) -> Columns:
    """Columns found by name; where one is missing, or the rows differ, `read` says so."""
    columns: dict[str, Any] = dict(pairs)
    lengths = {len(elements) for _, elements in pairs}
    if len(pairs) == len(names) and columns.keys() == set(names) and len(lengths) == 1:
        n_rows = lengths.pop()
        if 0 < n_rows <= max_rows:
            return Columns(columns, range(n_rows))
    lists = RepeatedKeys([(name, list(elements)) for name, elements in pairs])
    return read(lists if lists.repeated else dict(lists), names, max_rows)


def labels_of(outputs: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the model's own labels, as a scorer's `outputs` have them."""
    return tuple(known["label"] for known in outputs["classes"])


def to_infer(
    scored: Scored, request: InferRequest, model: Mapping[str, str], labels: Sequence[Any]
) -> Answer:
    """Write the answer of `infer`.

    Raises
    ------
    BadOption
        Probabilities are asked for, and the model has none.
    """
    written = [_written(scored, output, labels) for output in request.outputs]
    parameters = _of_response(scored, request)
    content = {
        "model_name": model["name"],
        "model_version": model["version"],
        **({"id": request.id} if request.id is not None else {}),
        **({"parameters": parameters} if parameters else {}),
        "outputs": [tensor for tensor, _ in written],
    }
    text = to_json(content)
    raw = [data for _, data in written if data is not None]
    return Answer(b"".join([text, *raw]), len(text) if raw else None)


def _of_response(scored: Scored, request: InferRequest) -> dict[str, Any]:
    """What belongs to no tensor. Parameters hold scalars only, so lists go as JSON text."""
    told: dict[str, Any] = {}
    if request.explain:
        explanation = scored.explanation
        told |= {"output_space": explanation.output_space, "method": explanation.method}
        told |= {"coalitions_used": explanation.n_coalitions}
    notes = request.rows.table.notes
    if notes:
        warnings = [{"row": n.row, "column": n.column, "rule": n.rule} for n in notes]
        told["warnings"] = json.dumps(warnings, ensure_ascii=False)
    return told


def _written(
    scored: Scored, output: Output, labels: Sequence[Any]
) -> tuple[dict[str, Any], bytes | None]:
    """One output: its description, with the data in it or as bytes beside it."""
    values, parameters = _values(scored, output.name)
    datatype = _datatype(values, labels) if output.name == "predict" else "FP64"
    tensor = {"name": output.name, "shape": list(values.shape), "datatype": datatype}
    if output.binary:
        raw = to_binary(datatype, values)
        return {**tensor, "parameters": {**parameters, "binary_data_size": len(raw)}}, raw
    data: Any = values.ravel()
    if datatype == "BYTES":
        data = list(map(str, data.tolist()))
    elif datatype == "FP64":
        data = np.ascontiguousarray(data, dtype=np.float64)
    else:
        data = data.tolist()
    return {**tensor, **({"parameters": parameters} if parameters else {}), "data": data}, None


def _values(scored: Scored, name: str) -> tuple[NDArray[Any], dict[str, str]]:
    """An output's array, and what its axes count through."""
    if name == "predict":
        return np.asarray(scored.predictions), {}
    if name == "probabilities":
        if scored.probabilities is None:
            raise BadOption("The model has no probabilities.")
        return scored.probabilities, {}
    explanation = scored.explanation
    names = {"outputs": _listed(explanation.output_names)}
    if name == "base_values":
        return explanation.base_values, names
    if name == "additivity_gap":
        return explanation.additivity_gap, {}
    axes, features = ("row", "feature", "output"), explanation.features
    names = {"axes": _listed(axes), "features": _listed(features), **names}
    if name == "local_importance_values":
        return explanation.values, names
    errors = explanation.standard_errors
    return np.full_like(explanation.values, math.nan) if errors is None else errors, names


def _listed(names: Sequence[str]) -> str:
    return json.dumps(list(names), ensure_ascii=False)


def _datatype(predictions: NDArray[Any], labels: Sequence[Any]) -> str:
    """The same for every request: what the model's labels are, or else its numbers."""
    if labels:
        return datatype_of(labels)
    return "FP64" if predictions.dtype.kind in "fiu" else datatype_of(predictions.ravel().tolist())


def input_documents(schema: FeatureSchema) -> list[dict[str, Any]]:
    """Describe the inputs: one tensor where all features are numbers, else one for each."""
    if not any(feature.is_category or feature.is_time for feature in schema.features):
        return [{"name": _MATRIX, "datatype": "FP64", "shape": [-1, schema.n_features]}]
    return [{"name": f.name, "datatype": _type_of(f), "shape": [-1]} for f in schema.features]


def _type_of(feature: Feature) -> str:
    if feature.is_time:
        return "BYTES"
    if feature.is_category:
        return datatype_of(feature.categories) if feature.categories else "BYTES"
    return {"number": "FP64", "integer": "INT64", "boolean": "BOOL"}[feature.kind]


def sample_table(schema: FeatureSchema, sample: NDArray[np.float64]) -> Table:
    """Return the artifact's sample (n_features,) as a table of one row."""
    return Table(sample[np.newaxis], schema.code_tables)


def output_documents(scored: Scored, labels: Sequence[Any]) -> list[dict[str, Any]]:
    """Describe the outputs, by those of one explained row."""
    return [
        _described(scored, name, labels)
        for name in (*PREDICTED, *EXPLAINED)
        if name != "probabilities" or scored.probabilities is not None
    ]


def _described(scored: Scored, name: str, labels: Sequence[Any]) -> dict[str, Any]:
    values, _ = _values(scored, name)
    shape = values.shape if name == "base_values" else (-1, *values.shape[1:])
    datatype = _datatype(values, labels) if name == "predict" else "FP64"
    return {"name": name, "datatype": datatype, "shape": list(shape)}
