"""The players of the game: features one by one, or sets of features that come and go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ParameterError
from scoring.texts import encodable

__all__ = ["Groups", "Players"]

Groups = Mapping[str, Sequence[str]]
"""Names of sets of features, and the features in each."""


@dataclass(frozen=True, eq=False)
class Players:
    """Who gets an attribution, and which features each of them moves.

    Parameters
    ----------
    names : one for each player.
    membership : bool (n_players, n_features), every feature in exactly one player.
    """

    names: tuple[str, ...]
    membership: NDArray[np.bool_]

    @classmethod
    def of(cls, features: Sequence[str], groups: Groups | None = None) -> Players:
        """Make each feature a player, and each group one in the place of its first feature.

        Raises
        ------
        ParameterError
            With everything that is wrong with the groups.
        """
        features, groups = tuple(features), {} if groups is None else groups
        given: Any = groups  # as somebody wrote it
        if not isinstance(given, Mapping):
            fix = 'Write {"name": ["feature", ...]}.'
            raise ParameterError("groups", "must be names with lists of features", fix)
        _check(features, groups)
        group_of = {feature: name for name, members in groups.items() for feature in members}
        names = tuple(dict.fromkeys(group_of.get(feature, feature) for feature in features))
        if len(names) == len(features):
            return cls(names, _identity(len(names)))
        place = {name: i for i, name in enumerate(names)}
        owners = np.array([place[group_of.get(feature, feature)] for feature in features])
        return cls(names, owners == np.arange(len(names))[:, np.newaxis])

    @property
    def n_players(self) -> int:
        """How many attributions a row gets."""
        return len(self.names)

    @property
    def single(self) -> bool:
        """Whether every feature is a player of its own."""
        return bool(self.membership.shape[0] == self.membership.shape[1])

    @property
    def owners(self) -> NDArray[np.intp]:
        """The player (n_features,) that each feature belongs to."""
        if self.single:
            return np.arange(self.n_players)
        return np.asarray(self.membership.argmax(axis=0))

    def features(self, masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """From coalitions of players (n, n_players) to the features in them (n, n_features)."""
        if self.single:
            return masks
        expanded: NDArray[np.bool_] = masks[:, self.owners]
        return expanded


def _identity(n: int) -> NDArray[np.bool_]:
    """The identity (n, n) in the memory of two of its lines: all are windows of one."""
    line = np.arange(2 * n - 1) == n - 1
    return np.asarray(np.lib.stride_tricks.sliding_window_view(line, n)[::-1])


def _check(features: tuple[str, ...], groups: Groups) -> None:
    texts = [name for name, members in groups.items() if isinstance(members, str)]
    if texts:
        fix = f"Write {{{texts[0]!r}: [...]}}."
        raise ParameterError("groups", "must give each group a list of features", fix)
    grouped = [feature for members in groups.values() for feature in members]
    problems = [f"group {name!r} is empty" for name, members in groups.items() if not members]
    problems += [
        f"{name!r} is no feature" for name in dict.fromkeys(grouped) if name not in features
    ]
    problems += [
        f"{name!r} is no text that UTF-8 can write" for name in groups if not encodable(str(name))
    ]
    twice = [name for name in dict.fromkeys(grouped) if grouped.count(name) > 1]
    problems += [f"{name!r} is in a group twice" for name in twice]
    left = set(features) - set(grouped)
    problems += [f"{name!r} is a feature's name as well" for name in groups if name in left]
    if problems:
        rule = "must put features of the model into sets that do not overlap"
        fix = f"The features are {', '.join(features)}."
        raise ParameterError("groups", f"{rule}; but {'; '.join(problems)}", fix)
