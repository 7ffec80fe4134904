"""From engineered columns to raw features: the map, and what may stand for one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ModelError, ParameterError

__all__ = ["raw_map", "raw_names"]

NO_MAP = (
    "the explanation has no map to raw features: it is of raw features already, or of columns that "
    "depend on several. Leave get_raw out: raw features are explained then. Sums of such columns "
    "need an explainer with allow_all_transformations=True."
)


def raw_map(
    features: tuple[str, ...],
    own: tuple[NDArray[np.float64] | None, tuple[str, ...]],
    feature_maps: Any,
    names: Sequence[str] | None,
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The map from engineered columns to raw features, and these features' names.

    Parameters
    ----------
    features : the engineered columns.
    own : the explanation's map, float64 (n_raw, n_features), and names; taken where none are given.
    feature_maps : a map, or several from raw features to the last columns.

    Raises
    ------
    ModelError
        There is no map.
    ParameterError
        A map that is none, or of another size; another number of names.
    """
    shares, known = own if feature_maps is None else _product(features, feature_maps)
    if shares is None:
        raise ModelError(NO_MAP)
    known = known or tuple(f"raw_{j}" for j in range(len(shares)))
    return shares, raw_names(len(shares), known, names)


def raw_names(n_raw: int, known: tuple[str, ...], given: Sequence[str] | None) -> tuple[str, ...]:
    """The names of raw features: those given, else those known.

    Raises
    ------
    ParameterError
    """
    if isinstance(given, str):
        raise ParameterError("raw_feature_names", "must be a list of names, not one text")
    names = known if given is None else tuple(map(str, given))
    if len(names) != n_raw:
        raise ParameterError("raw_feature_names", f"must name {n_raw}, not {len(names)}")
    return names


def _product(
    features: tuple[str, ...], feature_maps: Any
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """One map of several, and the names that it comes with."""
    chain = list(feature_maps) if isinstance(feature_maps, (list, tuple)) else [feature_maps]
    try:
        dense = [each.toarray() if hasattr(each, "toarray") else each for each in chain]
        maps = [np.asarray(each, dtype=np.float64) for each in dense]
    except (TypeError, ValueError):
        raise ParameterError("feature_maps", "must hold numbers only") from None
    fits = all(each.ndim == 2 and np.isfinite(each).all() for each in maps)
    fits = fits and all(first.shape[1] == then.shape[0] for first, then in pairwise(maps))
    if not maps or not fits or maps[-1].shape[1] != len(features):
        rule = f"must be maps (n_raw, n_columns), the last of them to {len(features)} columns"
        fix = "Give finite numbers, an array of two axes for each step."
        raise ParameterError("feature_maps", rule, fix)
    columns = _names(getattr(chain[-1], "columns", ()))
    if columns and columns != features:
        rule = "must have the explanation's features as columns, in their order"
        raise ParameterError("feature_maps", rule, "Reorder them: feature_map[list(features)].")
    return reduce(np.matmul, maps), _names(getattr(chain[0], "index", ()))


def _names(labels: Any) -> tuple[str, ...]:
    """A DataFrame's labels where they are names; numbers only count."""
    found = tuple(labels) if hasattr(labels, "tolist") else ()  # a list's `index` is a method
    return found if all(isinstance(label, str) for label in found) else ()
