"""What a client may choose for one request: in the query, or beside the rows in an envelope.

::

    POST /score?output_space=margin&top_k=3
    {"data": [...], "options": {"layout": "rows", "explain": {"class": "bad", "above": 0.5}}}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import orjson

from service.errors import BadOption
from service.row_filter import RowFilter

__all__ = ["KNOWN", "LONGEST_MS", "Choices", "Options", "options_of"]

LONGEST_MS = 600_000
KNOWN = (
    "output_space",
    "deadline_ms",
    "outputs",
    "top_k",
    "layout",
    "explain",
    "interactions",
    "baseline",
)


@dataclass(frozen=True)
class Options:
    """How one request wants to be answered; hashable, so that equal ones can be found.

    Parameters
    ----------
    output_space : one of those that the model was distilled for; None for its first.
    deadline_ms : when to stop asking about coalitions; None for never.
    outputs : `all`, `predicted` for each row's own class, or names of outputs.
    top_k : how many of the strongest features to list; None for all.
    layout : `guide` or `rows`.
    explain : whether to explain, or which rows.
    interactions : whether to explain pairs of features as well.
    baseline : a named background to explain against; None for the model's own.
    """

    output_space: str | None = None
    deadline_ms: float | None = None
    outputs: Literal["all", "predicted"] | tuple[str, ...] = "all"
    top_k: int | None = None
    layout: Literal["guide", "rows"] = "guide"
    explain: bool | RowFilter = True
    interactions: bool = False
    baseline: str | None = None

    @property
    def work(self) -> Options:
        """What matters while scoring; the rest is how the answer is written down."""
        if self.outputs == "all" and self.top_k is None and self.layout == "guide":
            return self
        return replace(self, outputs="all", top_k=None, layout="guide")


_PLAIN = Options()


@dataclass(frozen=True)
class Choices:
    """What there is to choose from for a model.

    Parameters
    ----------
    output_spaces : the default first.
    outputs : per output space the names of what is explained.
    classes : the model's, in its order; () for a regression.
    probabilities : whether the model has them.
    interactions : the output spaces that have interaction values.
    baselines : named backgrounds.
    """

    output_spaces: tuple[str, ...]
    outputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    probabilities: bool = False
    interactions: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ()


def options_of(
    query: Iterable[tuple[str, str]],
    choices: Choices,
    envelope: Mapping[str, Any] | None = None,
) -> Options:
    """Read what a request chooses.

    Parameters
    ----------
    query : names and values as they came.
    choices : what there is to choose from.
    envelope : what stands beside the rows, as JSON has it.

    Raises
    ------
    BadOption
        An unknown name, one given twice, or a value that breaks a rule; all of them at once.
    """
    pairs = list(query)
    if not pairs and not envelope:
        return _PLAIN
    asked, given, broken = dict(pairs), dict(envelope or {}), []
    if asked.keys() - set(KNOWN):
        broken.append(f"the query may hold {', '.join(KNOWN)} only")
    if given.keys() - set(KNOWN):
        broken.append(f"the envelope's options may hold {', '.join(KNOWN)} only")
    if len(asked) < len(pairs):
        broken.append("the query must not repeat a name")
    twice = [name for name in KNOWN if name in asked and name in given]
    if twice:
        broken.append(f"the query and the envelope must not both set {', '.join(twice)}")
    given |= {name: _from_text(name, text) for name, text in asked.items()}
    given = {name: value for name, value in given.items() if value is not None}
    options = _checked(given, choices, broken)
    if broken:
        raise BadOption(_sentence(broken))
    return options


def _sentence(broken: list[str]) -> str:
    told = "; ".join(broken)
    return told[0].upper() + told[1:] + "."


def _from_text(name: str, text: str) -> Any:
    """What a query means in JSON's terms; what means nothing stays text, and is refused as such."""
    if name in {"output_space", "layout", "baseline"}:
        return text
    if name == "outputs" and not text.startswith("["):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _checked(given: Mapping[str, Any], choices: Choices, broken: list[str]) -> Options:
    """Hold every option against its rule."""
    space = _one_of(given, "output_space", choices.output_spaces, broken)
    settled = space or choices.output_spaces[0]
    outputs = choices.outputs.get(settled, ())
    checks: dict[str, Callable[[Any], Any]] = {
        "deadline_ms": _milliseconds,
        "outputs": lambda value: _outputs(value, outputs, choices.classes),
        "top_k": _top_k,
        "explain": lambda value: _explain(value, choices),
        "interactions": lambda value: _interactions(value, settled, choices),
    }
    found: dict[str, Any] = {"output_space": space}
    for name, check in checks.items():
        if name in given:
            try:
                found[name] = check(given[name])
            except _Rule as rule:
                broken.append(f"{name} {rule}")
    layout = _one_of(given, "layout", ("guide", "rows"), broken)
    found |= {"layout": layout} if layout else {}
    if "baseline" in given and not choices.baselines:
        broken.append("baseline must not be given: this model has no named backgrounds")
    else:
        found["baseline"] = _one_of(given, "baseline", choices.baselines, broken)
    return Options(**found)


class _Rule(ValueError):
    """The rule that a value breaks."""


def _one_of(
    given: Mapping[str, Any], name: str, known: tuple[str, ...], broken: list[str]
) -> str | None:
    value = given.get(name)
    if name in given and not (isinstance(value, str) and value in known):
        broken.append(f"{name} must be one of {', '.join(known)}")
        return None
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _milliseconds(value: Any) -> float:
    if not _is_number(value) or not 0 < value <= LONGEST_MS:
        raise _Rule(f"must be a number above 0 and up to {LONGEST_MS}")
    return float(value)


def _top_k(value: Any) -> int:
    if type(value) is not int or not 1 <= value < 2**31:
        raise _Rule("must be a whole number of at least 1")
    return value


def _outputs(value: Any, names: tuple[str, ...], classes: tuple[str, ...]) -> Any:
    if value == "predicted":
        if not classes or names != classes:
            raise _Rule("must not be predicted here: what is explained are not the classes")
        return value
    if value == "all":
        return value
    chosen = value if isinstance(value, list) else [value]
    known = all(isinstance(name, str) and name in names for name in chosen)
    if not chosen or not known or len(set(chosen)) < len(chosen):
        rule = f"must be all, predicted, or different names among {', '.join(names)}"
        raise _Rule(rule)
    return tuple(chosen)


def _explain(value: Any, choices: Choices) -> bool | RowFilter:
    if isinstance(value, bool):
        return value
    if not isinstance(value, dict) or not value:
        raise _Rule("must be true, false, or an object that says which rows")
    rules = list(_filter_rules(value, choices))
    if rules:
        raise _Rule("must " + ", and must ".join(rules))
    classes = value.get("classes")
    bounds = {name: float(value[name]) for name in ("above", "below") if name in value}
    chosen = None if classes is None else tuple(classes)
    return RowFilter(chosen, value.get("class"), **bounds)


def _filter_rules(value: dict[str, Any], choices: Choices) -> Iterable[str]:
    """The rules that a filter breaks."""
    known = choices.classes
    if value.keys() - {"classes", "class", "above", "below"}:
        yield "hold classes, class, above and below only"
    if not known:
        yield "not say which rows: this model predicts no classes"
        return
    if "classes" in value:
        classes = value["classes"]
        if not isinstance(classes, list) or not all(_names(name, known) for name in classes):
            yield f"have a list of classes among {', '.join(known)}"
    bounds = [value[name] for name in ("above", "below") if name in value]
    if "class" in value or bounds:
        if not _names(value.get("class"), known):
            yield f"have a class among {', '.join(known)}"
        if not bounds:
            yield "have above or below beside a class"
        if not all(_is_number(bound) and 0 <= bound <= 1 for bound in bounds):
            yield "have above and below from 0 to 1"
        if not choices.probabilities:
            yield "not have a threshold: this model has no probabilities"


def _names(value: Any, known: tuple[str, ...]) -> bool:
    return isinstance(value, str) and value in known


def _interactions(value: Any, space: str, choices: Choices) -> bool:
    if not isinstance(value, bool):
        raise _Rule("must be true or false")
    if value and space not in choices.interactions:
        raise _Rule(
            "must not be true: this model has no exact interaction values in this output space"
        )
    return value
