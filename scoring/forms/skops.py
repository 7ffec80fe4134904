"""A model as a skops file: estimators without pickle, of types that this file lists.

The list is code and never comes from the file that is read. Beyond what skops trusts by default
(public scikit-learn estimators, NumPy arrays and numbers, arithmetic ufuncs) it names
- wrappers of our own (`scoring.models`), which hand rows to the model inside them;
- wrappers and helpers that only hold fitted numbers: calibrated classifiers, Gaussian process
  kernels, optimisers of neural networks, link and loss functions, bags of named estimators;
- trees and boosters, whose compiled code follows its indices blindly: `estimators.py` and
  `lightgbm_text.py` check those.
Nothing on it imports, opens a file or calls what it is given; of what skops trusts, vectorizers of
texts open files when they are asked to, and those are refused. Of functions there are NumPy's and
SciPy's ufuncs, which only calculate, and one validator of arrays; none is called by reading.

skops asks only whether a type is trusted, and then lets any kind of node make it: a "list" of type
`Booster` would call the Booster's constructor. So each type here is bound to its kind of node, and
kinds that call anything are not read at all.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

from scoring.arrays import check_npy
from scoring.errors import ArtifactCorrupt, ArtifactError, ArtifactUntrusted
from scoring.forms.estimators import check_estimator
from scoring.forms.extras import lacking
from scoring.forms.lightgbm_text import check_lightgbm
from scoring.forms.refused import FormRefused, Unsound, first_line

__all__ = ["FILE", "TRUSTED", "read", "write"]

FILE = "model.skops"
PROTOCOL = 2

OBJECTS = frozenset({
    *(f"lightgbm.sklearn.LGBM{kind}" for kind in ("Classifier", "Regressor")),
    *(f"xgboost.sklearn.XGB{kind}" for kind in ("Classifier", "Regressor")),
    *(f"xgboost.sklearn.XGBRF{kind}" for kind in ("Classifier", "Regressor")),
    "lightgbm.basic.Booster",
    *(f"scoring.models.boosters.Booster{kind}" for kind in ("Classifier", "Margins", "Regressor")),
    "scoring.models.transformed.Transformed",
    "scoring.models.wrappers.Classifier",
    "scoring.models.wrappers.ValuesOnly",
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    *(
        f"sklearn.gaussian_process.kernels.{kernel}"
        for kernel in (
            "CompoundKernel", "ConstantKernel", "DotProduct", "ExpSineSquared", "Exponentiation",
            "Matern", "Product", "RBF", "RationalQuadratic", "Sum", "WhiteKernel",
        )
    ),
    "sklearn.model_selection._split.KFold",
    "sklearn.multiclass._ConstantPredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "xgboost.core.Booster",
})  # fmt: skip
"""Types that a plain object node may make: `__new__`, then its state."""

TRUSTED = {
    **dict.fromkeys(OBJECTS, frozenset({"ObjectNode"})),
    "sklearn.tree._tree.Tree": frozenset({"TreeNode"}),
    "sklearn.utils._bunch.Bunch": frozenset({"DictNode"}),
    "collections.OrderedDict": frozenset({"DictNode", "TypeNode"}),
    "numpy.dtype": frozenset({"DTypeNode"}),
    # HistGradientBoosting with categorical features checks its columns through these two.
    "functools.partial": frozenset({"PartialNode"}),
    "sklearn.utils.validation.check_array": frozenset({"FunctionNode"}),
}
"""What we trust beyond skops, and as which kind of node."""

NODES = frozenset({
    "BytearrayNode", "BytesNode", "DTypeNode", "DefaultDictNode", "DictNode", "FunctionNode",
    "JsonNode", "ListNode", "LossNode", "NdArrayNode", "ObjectNode", "PartialNode",
    "RandomGeneratorNode", "RandomStateNode", "SetNode", "SliceNode", "TreeNode", "TupleNode",
    "TypeNode",
})  # fmt: skip
"""Kinds of nodes that are read.

Left out: nodes that call what the file names (constructor, method, operator), references to other
nodes, masked arrays, and sparse matrices, whose indices nobody checks.
"""


def write(estimator: Any) -> bytes:
    """Write an estimator; the same estimator gives the same bytes.

    Raises
    ------
    FormRefused
        skops cannot write it. Whether all its types are trusted shows when it is read.
    """
    try:
        import skops.io as skops_io
    except ModuleNotFoundError:
        raise FormRefused("skops is not installed") from None
    try:
        return _in_order(skops_io.dumps(estimator))
    except Exception as error:  # an estimator's own code may raise anything
        raise FormRefused(f"skops cannot write it: {first_line(error)}") from error


def read(data: bytes) -> Any:
    """Read an estimator.

    Raises
    ------
    ArtifactUntrusted
        A type, or a kind of node, that is not on the list.
    ArtifactCorrupt
        Not a skops file, or trees that run in circles or out of their arrays.
    ArtifactUnsupported
        A library that is not installed.
    """
    try:
        import skops.io as skops_io
        from skops.io.exceptions import UntrustedTypesFoundException
    except ModuleNotFoundError as error:
        raise lacking(FILE, error, data) from None
    again = "Save the explainer again."
    try:
        _audit(data)
        estimator = skops_io.loads(data, trusted=sorted(TRUSTED))
        check_estimator(estimator)
    except UntrustedTypesFoundException as error:
        raise _untrusted(first_line(error)) from None
    except ArtifactError:
        raise
    except Unsound as error:
        raise ArtifactCorrupt(FILE, str(error), again) from None
    except ImportError as error:
        raise lacking(FILE, error, data) from None
    except Exception as error:
        raise ArtifactCorrupt(FILE, f"it cannot be read: {first_line(error)}", again) from error
    return estimator


def _untrusted(what: str) -> ArtifactUntrusted:
    remedy = "Save the explainer again; a model of such types travels as model.pkl, pinned."
    return ArtifactUntrusted(FILE, what, remedy)


def _audit(data: bytes) -> None:
    """Check the file before skops builds anything from it."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if len({entry.filename for entry in entries}) < len(entries):
            raise Unsound("two of its entries share a name")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise Unsound("an entry is compressed, and skops compresses none")
        if sum(entry.file_size for entry in entries) > len(data):
            raise Unsound("its entries overlap")
        for entry in entries:
            if entry.filename.endswith(".npy"):
                with archive.open(entry) as stream:
                    content = io.BytesIO(stream.read())
                check_npy(content, entry.file_size, f"{FILE}/{entry.filename}")
        schema = json.loads(archive.read("schema.json"))
    if schema.get("protocol") != PROTOCOL:
        raise Unsound("it is of another skops protocol than 2")
    by_id: dict[Any, Any] = {}
    for node in _nodes(schema):
        _audit_node(node)
        # skops takes the first node of an id for all of them, so they have to be equal.
        if by_id.setdefault(node.get("__id__"), node) != node:
            raise Unsound("two of its nodes share an id and differ")


def _nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node in a schema, with the nodes inside it."""
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if "__loader__" in part:
                yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _audit_node(node: dict[str, Any]) -> None:
    kind, name = node["__loader__"], f"{node['__module__']}.{node['__class__']}"
    if kind not in NODES or kind not in TRUSTED.get(name, {kind}):
        raise _untrusted(f"it asks for {name} as {kind}")
    if name == "lightgbm.basic.Booster":
        text = node["content"]["content"]["_handle"]
        if text["__loader__"] != "JsonNode":
            raise Unsound("a LightGBM model is not text")
        check_lightgbm(json.loads(text["content"]))


def _in_order(data: bytes) -> bytes:
    """The same file with ids counted from 0 and no times, so that equal models are equal bytes."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        schema = json.loads(archive.read("schema.json"))
        contents = {name: archive.read(name) for name in archive.namelist()}
    files: dict[str, str] = {}
    ordered = _renumbered(schema, {}, files)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for new, old in files.items():
            archive.writestr(zipfile.ZipInfo(new), contents[old])
        archive.writestr(zipfile.ZipInfo("schema.json"), json.dumps(ordered))
    return stream.getvalue()


def _renumbered(value: Any, seen: dict[int, dict[str, Any]], files: dict[str, str]) -> Any:
    """The schema with new ids, and with equal nodes wherever it has the same id."""
    if isinstance(value, list):
        return [_renumbered(item, seen, files) for item in value]
    if not isinstance(value, dict):
        return value
    if "__loader__" not in value:
        return {key: _renumbered(item, seen, files) for key, item in value.items()}
    if (old_id := value["__id__"]) in seen:
        return seen[old_id]
    node: dict[str, Any] = {"__id__": len(seen)}
    seen[old_id] = node
    for key, item in value.items():
        if key == "file":
            node[key] = f"{node['__id__']}.{item.rpartition('.')[2]}"
            files[node[key]] = item
        elif key != "__id__":
            node[key] = _renumbered(item, seen, files)
    return node
