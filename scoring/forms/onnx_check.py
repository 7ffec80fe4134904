"""Checks of an ONNX file before ONNX Runtime sees it.

Only the standard operators, no tensor kept in another file (or at an address in memory, which is
how ONNX Runtime marks some of its own), and no tree that runs in a circle.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.errors import ArtifactCorrupt, ArtifactUntrusted
from scoring.forms.refused import Unsound
from scoring.forms.trees import check_branches

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

__all__ = ["parse"]

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
ORT_FORMAT = b"ORTM"
"""Where bytes 4 to 8 say this, ONNX Runtime reads a format of its own that we cannot check."""


def parse(data: bytes, file: str) -> ModelProto:
    """Parse a model and check it.

    Raises
    ------
    ArtifactCorrupt
        Not an ONNX model, or a tree that runs in a circle.
    ArtifactUntrusted
        Data outside the file, or operators that are not ONNX's own.
    """
    import onnx

    again = "Export the model to ONNX again."
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's errors share no base but this
        raise ArtifactCorrupt(file, "it is not an ONNX model", again) from error
    if data[4:8] == ORT_FORMAT or not model.graph.node or model.training_info:
        raise ArtifactCorrupt(file, "it is not an ONNX model for inference", again)
    for nodes, tensors in _bodies(model):
        for tensor in tensors:
            if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
                inside = (
                    "Save it with its data inside (onnx.save with save_as_external_data=False)."
                )
                raise ArtifactUntrusted(file, "it keeps data outside the file", inside)
        for node in nodes:
            if node.domain not in DOMAINS:
                standard = "Export it with ONNX's own operators (domains '' and 'ai.onnx.ml')."
                what = f"it uses operators of the domain {node.domain[:80]!r}"
                raise ArtifactUntrusted(file, what, standard)
            try:
                _check_trees(node)
            except ValueError as error:
                raise ArtifactCorrupt(file, str(error), again) from None
    return model


def _bodies(model: ModelProto) -> Iterator[tuple[list[NodeProto], list[TensorProto]]]:
    """Every list of nodes in a model and the tensors beside it: graphs, functions, branches."""
    waiting: list[Any] = [model.graph, *model.functions]
    while waiting:
        body = waiting.pop()
        attributes = [attribute for node in body.node for attribute in node.attribute]
        attributes += getattr(body, "attribute_proto", [])  # a function's defaults
        for attribute in attributes:
            waiting += [attribute.g] if attribute.HasField("g") else []
            waiting += attribute.graphs
        yield list(body.node), [*_initializers(body), *_constants(attributes)]


def _initializers(body: GraphProto) -> Iterator[TensorProto]:
    yield from getattr(body, "initializer", [])
    for sparse in getattr(body, "sparse_initializer", []):
        yield from (sparse.values, sparse.indices)


def _constants(attributes: list[Any]) -> Iterator[TensorProto]:
    for attribute in attributes:
        yield from [attribute.t, *attribute.tensors]
        for sparse in [attribute.sparse_tensor, *attribute.sparse_tensors]:
            yield from (sparse.values, sparse.indices)


def _check_trees(node: NodeProto) -> None:
    """Check a node of trees; ONNX Runtime checks their ranges, but not every cycle."""
    if node.domain != "ai.onnx.ml" or not node.op_type.startswith("TreeEnsemble"):
        return
    lists = {attribute.name: np.array(attribute.ints) for attribute in node.attribute}
    if node.op_type == "TreeEnsemble":
        _check_split_trees(lists)
        return
    modes = [mode for a in node.attribute if a.name == "nodes_modes" for mode in a.strings]
    inner = np.array([mode != b"LEAF" for mode in modes], dtype=bool)
    names = ("nodes_treeids", "nodes_nodeids", "nodes_truenodeids", "nodes_falsenodeids")
    trees, ids, yes, no = (lists.get(name, np.zeros(0, np.int64)) for name in names)
    if not len(trees) == len(ids) == len(yes) == len(no) == len(inner):
        raise Unsound("its trees have lists of different lengths")
    position = {key: k for k, key in enumerate(zip(trees.tolist(), ids.tolist(), strict=True))}
    if len(position) < len(ids):
        raise Unsound("two nodes of a tree share an id")
    sides = [
        np.array([position.get(key, -1) for key in zip(trees[inner].tolist(), side, strict=True)])
        for side in (yes[inner].tolist(), no[inner].tolist())
    ]
    check_branches(len(ids), np.flatnonzero(inner), [side.astype(np.int64) for side in sides])


def _check_split_trees(lists: dict[str, Any]) -> None:
    """The newer operator numbers branches and leaves apart."""
    names = ("nodes_truenodeids", "nodes_trueleafs", "nodes_falsenodeids", "nodes_falseleafs")
    none = np.zeros(0, dtype=np.int64)
    yes, yes_leaf, no, no_leaf = (lists.get(name, none) for name in names)
    if not len(yes) == len(yes_leaf) == len(no) == len(no_leaf):
        raise Unsound("its trees have lists of different lengths")
    n_nodes = len(yes)
    n_leaves = len(lists.get("leaf_targetids", none))
    sides = [
        np.where(leaf != 0, n_nodes + side, side) for side, leaf in ((yes, yes_leaf), (no, no_leaf))
    ]
    check_branches(n_nodes + n_leaves, np.arange(n_nodes), sides)
