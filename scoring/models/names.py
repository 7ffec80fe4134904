"""Names to show for classes and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from scoring.errors import ParameterError
from scoring.schema import Names
from scoring.texts import encodable

__all__ = ["display_names", "output_names", "pair_names"]


def display_names(labels: Sequence[Any], classes: Names | None) -> tuple[str, ...]:
    """Names to show for the model's classes, in the model's own order.

    Names disjoint from the labels are taken by position. The labels themselves in another order,
    or a mixture of both, would swap classes silently, so they are refused.
    """
    own = tuple(str(label) for label in labels)
    if not all(encodable(str(name)) for name in (*own, *(() if classes is None else classes))):
        raise ParameterError("classes", "must have names that UTF-8 can write")
    if classes is None or not own:
        return own
    shown = tuple(str(name) for name in classes)
    if len(shown) != len(own):
        raise ParameterError("classes", f"must name {len(own)} classes, not {len(shown)}")
    if len(set(shown)) != len(shown):
        raise ParameterError("classes", "must not repeat a name")
    if shown != own and set(shown) & set(own):
        rule = "must keep the order of the model's classes_, or be other names for them by position"
        raise ParameterError("classes", rule, f"The model's order is {', '.join(own)}.")
    return shown


def pair_names(classes: tuple[str, ...]) -> tuple[str, ...]:
    """The margins of pairs of classes, in libsvm's order; a positive one speaks for the first."""
    return tuple(f"{one} vs {other}" for one, other in combinations(classes, 2))


def output_names(
    labels: Sequence[Any], names: tuple[str, ...], n_outputs: int, classes: Names | None
) -> tuple[str, ...]:
    """Names of the outputs that are explained.

    Parameters
    ----------
    labels, names : the model's classes, and the names shown for them; both empty for a regression.
    classes : names as they were given.

    Raises
    ------
    ParameterError
        Names for another number of outputs.
    """
    if len(names) == n_outputs:
        return names
    if len(names) == 2 and n_outputs == 1:
        return names[1:]  # a binary margin speaks for the second class
    given = () if classes is None else tuple(str(name) for name in classes)
    if len(given) == 2 and n_outputs == 1:
        return given[1:]  # an outlier detector's margin speaks for its inliers
    if given and not labels:
        if len(given) != n_outputs:
            raise ParameterError("classes", f"must name {n_outputs} outputs, not {len(given)}")
        return given
    return tuple(f"output_{k}" for k in range(n_outputs)) if n_outputs > 1 else ("value",)
