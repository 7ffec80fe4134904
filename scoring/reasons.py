"""Reason codes: texts that go with a row's strongest features, as a lender must give them.

Regulation B of the United States (12 CFR 1002.9(b)(2)) asks for the principal reasons of an
adverse action; its commentary holds four of them for enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ParameterError
from scoring.forms.refused import Unsound
from scoring.texts import encodable

__all__ = ["ReasonCodes", "check", "reason_codes_of"]

DIRECTIONS = ("increases", "decreases")
LONGEST = 500
TOP = 4


@dataclass(frozen=True, eq=False)
class ReasonCodes:
    """Texts per feature and direction.

    Parameters
    ----------
    texts : per feature what to say where it `increases` or `decreases` the output.
    output : the name of the output whose values count; None for the last one, which of two
        classes is the second.
    top : how many reasons a row gets at most.
    """

    texts: dict[str, dict[str, str]]
    output: str | None = None
    top: int = TOP

    def describe(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"output": self.output, "top": self.top, "texts": self.texts}

    def of(
        self, values: NDArray[np.float64], features: Sequence[str], output_names: Sequence[str]
    ) -> list[list[dict[str, Any]]]:
        """The strongest features of each row that have a text for their direction.

        Parameters
        ----------
        values : float64 (n_rows, n_features, n_outputs).

        Returns
        -------
        Per row up to `top` times feature, direction, value and text, the strongest first. What is
        zero, or no number, gives no reason.
        """
        k = len(output_names) - 1 if self.output is None else list(output_names).index(self.output)
        chosen = values[..., k]  # (n_rows, n_features)
        has_text = np.array(
            [[way in self.texts.get(name, {}) for way in DIRECTIONS] for name in features]
        )
        told = np.where(chosen > 0, has_text[:, 0], has_text[:, 1]) & (np.abs(chosen) > 0)
        strength = np.where(told, np.abs(chosen), -1.0)
        order = np.argsort(-strength, axis=1, kind="stable")[:, : self.top]
        kept = np.take_along_axis(told, order, axis=1)
        return [
            [
                self._reason(features[j], float(row[j]))
                for j, wanted in zip(best, wants, strict=True)
                if wanted
            ]
            for row, best, wants in zip(chosen, order, kept, strict=True)
        ]

    def _reason(self, feature: str, value: float) -> dict[str, Any]:
        way = DIRECTIONS[value < 0]
        text = self.texts[feature][way]
        return {"feature": feature, "direction": way, "value": value, "text": text}


def reason_codes_of(
    given: Any, features: Sequence[str], output_names: Sequence[str]
) -> ReasonCodes:
    """Check reason codes against what will be explained, and settle the output.

    Parameters
    ----------
    given : `ReasonCodes`, or only its texts.

    Raises
    ------
    ParameterError
        With everything that is wrong.
    """
    if not isinstance(given, (ReasonCodes, Mapping)):
        fix = 'Write {"feature": {"increases": "text", "decreases": "text"}}.'
        raise ParameterError("reason_codes", "must be texts per feature and direction", fix)
    codes = given if isinstance(given, ReasonCodes) else ReasonCodes(dict(given))
    output = output_names[-1] if codes.output is None else codes.output
    problems = list(_problems(codes, output, features, output_names))
    if problems:
        rule = "must hold a text per feature and direction; but " + "; ".join(problems)
        raise ParameterError("reason_codes", rule)
    return ReasonCodes({f: dict(ways) for f, ways in codes.texts.items()}, output, codes.top)


def check(codes: ReasonCodes, features: Sequence[str], output_names: Sequence[str]) -> None:
    """Check reason codes that were read.

    Raises
    ------
    Unsound
    """
    for problem in _problems(codes, codes.output, features, output_names):
        raise Unsound(f"its reason codes are none: {problem}")


def _problems(
    codes: ReasonCodes, output: str | None, features: Sequence[str], output_names: Sequence[str]
) -> list[str]:
    found = []
    texts: Mapping[str, Any] = codes.texts  # as somebody wrote them
    if output not in output_names:
        found.append(f"the output must be one of {', '.join(output_names)}")
    if type(codes.top) is not int or codes.top < 1:
        found.append("top must be at least 1")
    for feature, ways in texts.items():
        if feature not in features:
            found.append(f"{feature!r} is no feature that is explained")
        if not isinstance(ways, Mapping) or not ways or set(ways) - set(DIRECTIONS):
            found.append(f"{feature!r} must have texts for {' or '.join(DIRECTIONS)}")
            continue
        for way, text in ways.items():
            if not isinstance(text, str) or not 0 < len(text) <= LONGEST:
                found.append(f"the text of {feature!r} {way} must have 1 to {LONGEST} characters")
            elif not encodable(text):
                found.append(f"the text of {feature!r} {way} must be what UTF-8 can write")
    return found
