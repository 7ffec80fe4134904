"""A pickle that can only be our own small classes; nothing it says is run.

Three fences, each enough by itself:

1. a scan: only opcodes that make plain data, look up a class by name, and give it a state;
   no calls, no memo, so what is read is a tree that is no larger than the file;
2. an allow-list: a name outside `CLASSES` is refused; one inside gives an inert stand-in, so no
   constructor, no `__setstate__` and no array of NumPy's is ever within the pickle's reach;
3. the stand-ins become real objects only where the classes' own annotations want them.

Arrays and the model are not in the pickle: it names them (persistent ids), and the caller says
what the names mean.
"""

from __future__ import annotations

import copyreg
import io
import pickle
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from scoring.background import Background
from scoring.coalitions import Design
from scoring.encoding import Encoding
from scoring.engineered import EngineeredKernel
from scoring.errors import ArtifactCorrupt, ArtifactError, ArtifactUntrusted, Violation
from scoring.exact import Exact
from scoring.feature import Feature
from scoring.games.calibration import Calibration
from scoring.games.expansion import Expansion
from scoring.games.layers import Layers
from scoring.games.linear import LinearGame
from scoring.games.link import LinkGame
from scoring.games.machine import Machine
from scoring.games.rbf_exact import RbfExactGame
from scoring.games.tree_scores import TreeScores
from scoring.games.twin import Twin
from scoring.named_background import NamedBackground
from scoring.players import Players
from scoring.predictor import Model, Predictor
from scoring.reasons import ReasonCodes
from scoring.reference import Reference
from scoring.schema import FeatureSchema
from scoring.scoring_explainers import (
    KernelScoringExplainer,
    LinearScoringExplainer,
    TreeScoringExplainer,
)
from scoring.spaces import Space
from scoring.stages import Stage
from scoring.sub_designs import SubDesigns
from scoring.table import Table
from scoring.texts import encodable
from scoring.trees.forest import Forest
from scoring.trees.game import TreeGame
from scoring.trees.tables import Tables

__all__ = ["CLASSES", "dumps", "loads"]

Resolve = Callable[[str], Any]
"""What a persistent id stands for: `array:NAME`, `model` or `surrogate`."""

CLASSES: dict[tuple[str, str], type] = {
    ("scoring.background", "Background"): Background,
    ("scoring.coalitions", "Design"): Design,
    ("scoring.encoding", "Encoding"): Encoding,
    ("scoring.engineered", "EngineeredKernel"): EngineeredKernel,
    ("scoring.errors", "Violation"): Violation,
    ("scoring.exact", "Exact"): Exact,
    ("scoring.games.calibration", "Calibration"): Calibration,
    ("scoring.games.layers", "Layers"): Layers,
    ("scoring.games.linear", "LinearGame"): LinearGame,
    ("scoring.games.link", "LinkGame"): LinkGame,
    ("scoring.games.machine", "Machine"): Machine,
    ("scoring.games.rbf_exact", "RbfExactGame"): RbfExactGame,
    ("scoring.games.expansion", "Expansion"): Expansion,
    ("scoring.games.tree_scores", "TreeScores"): TreeScores,
    ("scoring.games.twin", "Twin"): Twin,
    ("scoring.named_background", "NamedBackground"): NamedBackground,
    ("scoring.players", "Players"): Players,
    ("scoring.predictor", "Predictor"): Predictor,
    ("scoring.reasons", "ReasonCodes"): ReasonCodes,
    ("scoring.reference", "Reference"): Reference,
    ("scoring.feature", "Feature"): Feature,
    ("scoring.schema", "Feature"): Feature,  # where it was in the first artifacts
    ("scoring.schema", "FeatureSchema"): FeatureSchema,
    ("scoring.scoring_explainers", "KernelScoringExplainer"): KernelScoringExplainer,
    ("scoring.scoring_explainers", "LinearScoringExplainer"): LinearScoringExplainer,
    ("scoring.scoring_explainers", "TreeScoringExplainer"): TreeScoringExplainer,
    ("scoring.spaces", "Space"): Space,
    ("scoring.stages", "Stage"): Stage,
    ("scoring.sub_designs", "SubDesigns"): SubDesigns,
    ("scoring.table", "Table"): Table,
    ("scoring.trees.forest", "Forest"): Forest,
    ("scoring.trees.game", "TreeGame"): TreeGame,
    ("scoring.trees.tables", "Tables"): Tables,
}
"""By the names that pickles use. A class that moves keeps its old names here."""

OPCODES = frozenset({
    "PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2",
    "LONG1", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "EMPTY_TUPLE", "TUPLE", "TUPLE1",
    "TUPLE2", "TUPLE3", "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS",
    "STACK_GLOBAL", "NEWOBJ", "BUILD", "BINPERSID",
})  # fmt: skip

LARGEST = 64 * 2**20
"""Bytes; a schema with a million categories has fewer."""

AGAIN = "Save the explainer again, or get the artifact from where it was made."


def dumps(root: object, names: Mapping[int, str]) -> bytes:
    """Write an object of our classes.

    Parameters
    ----------
    names : persistent ids of everything that is not written, by `id()`.
    """
    stream = io.BytesIO()
    _Pickler(stream, names).dump(root)
    return stream.getvalue()


def loads(data: bytes, resolve: Resolve, file: str) -> tuple[type, dict[str, Any]]:
    """Read an object of our classes.

    Returns
    -------
    Its class, and its attributes by name; what they hold is built and of the annotated types.

    Raises
    ------
    ArtifactUntrusted
        Anything in the pickle that could do more than describe our own classes.
    ArtifactCorrupt
        Not a whole pickle, or not what the annotations say.
    """
    _scan(data, file)
    try:
        root = _Unpickler(io.BytesIO(data), file).load()
        kind = _stands_for(root)
        if kind is None:
            raise TypeError("it does not hold an explainer")
        return kind, _Builder(resolve).attributes(root, kind)
    except ArtifactError:
        raise
    except (*MALFORMED, RecursionError, MemoryError) as error:
        problem = f"it is not well formed: {error}"
        raise ArtifactCorrupt(file, problem, AGAIN) from None


MALFORMED = (
    pickle.UnpicklingError, EOFError, TypeError, ValueError, AttributeError, LookupError,
    OverflowError,
)  # fmt: skip


class _Pickler(pickle.Pickler):
    """Writes dataclasses as their fields, and no memo."""

    def __init__(self, stream: io.BytesIO, names: Mapping[int, str]) -> None:
        super().__init__(stream, protocol=5)
        self.fast = True
        self.names = names

    def persistent_id(self, obj: Any) -> str | None:
        """Name what is kept beside the pickle."""
        return self.names.get(id(obj))

    def reducer_override(self, obj: Any) -> Any:
        """Reduce our own classes to class and attributes, and nothing else at all."""
        if isinstance(obj, type):
            return NotImplemented
        if type(obj) not in CLASSES.values():
            raise pickle.PicklingError(f"{type(obj).__name__} has no place in an artifact")
        state = {name: getattr(obj, name) for name in _annotations(type(obj))}
        return copyreg.__newobj__, (type(obj),), state  # type: ignore[attr-defined]  # not in the stubs


class _StandIn:
    """What the unpickler makes instead of an object of ours: it holds a state and does nothing.

    What it stands for is looked up by its class, never asked of the object.
    """

    __slots__ = ("state",)

    state: Any

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Named(str):
    """A persistent id, until the builder looks it up; no state can be given to it."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise TypeError("a reference is given a state")


STAND_INS = {names: type(names[1], (_StandIn,), {"__slots__": ()}) for names in CLASSES}
STAND_FOR = {stand_in: CLASSES[names] for names, stand_in in STAND_INS.items()}


def _stands_for(value: Any) -> type | None:
    """The class that a stand-in is for; None for anything else."""
    return STAND_FOR.get(type(value))


class _Unpickler(pickle.Unpickler):
    """Knows the classes of the list, by their stand-ins, and nothing else."""

    def __init__(self, stream: io.BytesIO, file: str) -> None:
        super().__init__(stream)
        self.file = file

    def find_class(self, module: str, name: str, /) -> type:
        """Look a class up in the list; nothing is imported."""
        if (module, name) not in STAND_INS:
            problem = f"it names {module}.{name}"[:200] + ", which no explainer of ours needs"
            raise ArtifactUntrusted(self.file, problem, AGAIN)
        return STAND_INS[module, name]

    def persistent_load(self, name: Any) -> _Named:
        """Keep the name; the builder asks what it stands for."""
        if type(name) is not str:
            raise TypeError("a reference is not a name")
        return _Named(name)


def _scan(data: bytes, file: str) -> None:
    """Let only opcodes through that describe data."""
    if len(data) > LARGEST:
        raise ArtifactCorrupt(file, f"it is larger than {LARGEST} bytes", AGAIN)
    end = 0
    try:
        for opcode, argument, position in pickletools.genops(data):
            if opcode.name not in OPCODES:
                problem = (
                    f"it uses the pickle opcode {opcode.name}, which no explainer of ours needs"
                )
                raise ArtifactUntrusted(file, problem, AGAIN)
            if opcode.name == "FRAME" and argument is not None and argument > len(data):
                raise ArtifactCorrupt(file, "it is cut short", AGAIN)
            end = (position or 0) + 1
    except (ValueError, IndexError, KeyError, OverflowError, UnicodeError):
        raise ArtifactCorrupt(file, "it is not a whole pickle", AGAIN) from None
    if end != len(data):
        raise ArtifactCorrupt(file, "it goes on after its end", AGAIN)


def _annotations(kind: type) -> dict[str, Any]:
    """The attributes of a class of ours that are written, with their types.

    Annotations are text that is evaluated, so no other class is asked for them.
    """
    if kind not in CLASSES.values():
        raise TypeError("a class is not on the list")
    hints = get_type_hints(kind)
    if not is_dataclass(kind):
        return hints
    return {field.name: hints[field.name] for field in fields(kind) if field.init}


def _optional(kind: type) -> set[str]:
    """Attributes that an older artifact may lack."""
    if not is_dataclass(kind):
        return {name for name in get_type_hints(kind) if hasattr(kind, name)}
    given = (
        f for f in fields(kind) if f.default is not MISSING or f.default_factory is not MISSING
    )
    return {field.name for field in given}


class _Builder:
    """Turns stand-ins into objects, checking every value against the annotation it is for."""

    def __init__(self, resolve: Resolve) -> None:
        self.resolve = resolve

    def attributes(self, stand_in: _StandIn, kind: type) -> dict[str, Any]:
        """Build the attributes of one object of a class."""
        state = stand_in.state
        annotations = _annotations(kind)
        if type(state) is not dict or not all(name in annotations for name in state):
            raise TypeError(f"{kind.__name__} has other attributes")
        if lacking := annotations.keys() - state.keys() - _optional(kind):
            raise TypeError(f"{kind.__name__} lacks {min(lacking)}")
        return {
            name: self.value(value, annotations[name], f"{kind.__name__}.{name}")
            for name, value in state.items()
        }

    def value(self, value: Any, hint: Any, where: str) -> Any:
        """Build one value of an annotated type."""
        origin, arguments = get_origin(hint), get_args(hint)
        if hint is Any:
            return self.plain(value, where)
        if origin in (Union, UnionType):
            hint = next((h for h in arguments if self._may_be(value, h)), hint)
            if get_origin(hint) in (Union, UnionType):
                raise TypeError(f"{where} is of another type")
            return self.value(value, hint, where)
        if not self._may_be(value, hint):
            raise TypeError(f"{where} is of another type")
        if type(value) is str and not encodable(value):
            raise TypeError(f"{where} is no text that UTF-8 can write")
        if type(value) is _Named:
            return self._named(str(value), hint, where)
        if (kind := _stands_for(value)) is not None:
            return kind(**self.attributes(value, kind))
        if origin is tuple:
            each = arguments[:1] * len(value) if arguments[1:] == (...,) else arguments
            return tuple(self.value(v, h, where) for v, h in zip(value, each, strict=True))
        if origin is dict:
            return {self.value(k, arguments[0], where): self.value(v, arguments[1], where)
                    for k, v in value.items()}  # fmt: skip
        return value

    def plain(self, value: Any, where: str) -> Any:
        """Build a value that may be anything JSON can say."""
        if type(value) is dict:
            return {self.value(k, str, where): self.plain(v, where) for k, v in value.items()}
        if type(value) in (list, tuple):
            return [self.plain(item, where) for item in value]
        if type(value) not in (str, int, float, bool, NoneType):
            raise TypeError(f"{where} is of another type")
        if type(value) is str and not encodable(value):
            raise TypeError(f"{where} is no text that UTF-8 can write")
        return value

    def _may_be(self, value: Any, hint: Any) -> bool:
        """Whether a value is of an annotated type, as far as its outermost layer tells."""
        origin = get_origin(hint)
        if origin is Literal:
            return type(value) is str and value in get_args(hint)
        if origin is np.ndarray or hint is Model:
            return type(value) is _Named
        if origin in (tuple, dict):
            return type(value) is origin
        if hint in CLASSES.values():
            return _stands_for(value) is hint
        if hint is float:
            return type(value) in (float, int)
        return type(value) is hint

    def _named(self, name: str, hint: Any, where: str) -> Any:
        if hint is Model:
            if name not in {"model", "surrogate"}:
                raise TypeError(f"{where} refers to something else than a model")
            return self.resolve(name)
        kind, _, array_name = name.partition(":")
        if kind != "array" or not array_name:
            raise TypeError(f"{where} refers to something else than an array")
        array = self.resolve(name)
        wanted = get_args(get_args(hint)[1])[0]
        if not np.issubdtype(array.dtype, wanted):
            raise TypeError(f"{where} is {array.dtype} instead of {wanted.__name__}")
        return array
