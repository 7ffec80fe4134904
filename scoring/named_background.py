"""A background with a name: what a scoring explainer has of its own against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.background import Background
from scoring.exact import Exact
from scoring.stages import Stage
from scoring.sub_designs import SubDesigns

__all__ = ["NamedBackground"]


@dataclass(frozen=True, eq=False)
class NamedBackground:
    """What a scoring explainer has, in one output space, against a background besides its first.

    Parameters
    ----------
    name : what a request calls it.
    background, base_values, report, method, exact : as a scoring explainer has them.
    sub_designs, prefixes : those of the first background, with the standard errors' own factors.
    """

    name: str
    background: Background
    base_values: NDArray[np.float64]
    report: dict[str, Any]
    method: str
    exact: Exact | None = None
    sub_designs: SubDesigns | None = None
    prefixes: tuple[Stage, ...] = ()
