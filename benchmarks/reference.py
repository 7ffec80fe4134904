"""Shapley values to hold everybody against, computed by nobody's code but this.

Shapley values are the projection of a game onto the additive games, in the inner product of the
Shapley kernel (Charnes, Golany, Keane and Rousseau, "Extremal principle solutions of games in
characteristic function form", 1988). Projections onto nested spaces compose, so it is as right to
project onto games with interactions first; what these explain is then no longer noise. In pairs
of complements only odd orders are left, so the third is the first one that helps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve
from tqdm import tqdm

from benchmarks.timing import relative_rms

BLOCK = 2048  # coalitions at a time
SEED = 1_000_000  # far from the seeds of whatever is measured
PAIRS_FOR_A_TRIPLE = 4  # interactions are fitted where there are so many pairs for each


@dataclass(frozen=True)
class Reference:
    """Values (n_rows, n_features, n_outputs), and how sure they are.

    `noise` is their standard error, by the disagreement of independent designs, relative to the
    values and as a root mean square.
    """

    values: NDArray[np.float64]
    noise: float
    n_coalitions: int


@dataclass(frozen=True, eq=False)
class Known:
    """Weighted background rows (n_background, n_columns), and the player that owns each column."""

    rows: NDArray[np.float64]
    weights: NDArray[np.float64]
    owner: NDArray[np.intp]

    @classmethod
    def of(cls, rows, weights=None, owner=None):
        """Rows that weigh the same unless told, each column a player unless told."""
        weights = np.full(len(rows), 1 / len(rows)) if weights is None else weights
        return cls(rows, weights, np.arange(rows.shape[1]) if owner is None else owner)

    @property
    def n_players(self):
        """How many get a value."""
        return int(self.owner.max()) + 1


def refer(worth, n_rows, n_players, effort, label=""):
    """Explain rows by independent designs, added until they are sure enough.

    Parameters
    ----------
    worth : the number of a row and masks (n_coalitions, n_players) to what each coalition is
        worth, (n_coalitions, n_outputs).
    """
    fewest, most = effort.reference_designs
    found: list[NDArray[np.float64]] = []
    noise = math.inf
    while len(found) < most and (len(found) < fewest or noise > effort.reference_noise):
        masks, weights = draw(n_players, effort.reference_pairs, SEED + len(found))
        title = f"{label}, reference {len(found) + 1}"
        odd, whole = _odd_parts(worth, n_rows, masks, title)
        found.append(shapley_values(masks, weights, odd, whole))
        if len(found) > 1:
            error = np.std(found, axis=0, ddof=1) / math.sqrt(len(found))
            noise = relative_rms(error, np.mean(found, axis=0))
    values = np.mean(found, axis=0).reshape(n_players, n_rows, -1).transpose(1, 0, 2)
    return Reference(values, noise, 2 * effort.reference_pairs * len(found))


def draw(n_features, n_pairs, seed):
    """One coalition of each pair, (n_pairs, n_features), and the weights of the pairs.

    Of one and two features, all; of three and more, as many of each size.
    """
    few = [
        np.isin(np.arange(n_features), members)
        for size in (1, 2)
        for members in combinations(range(n_features), size)
    ]
    rng = np.random.default_rng(seed)
    sizes = rng.integers(3, n_features - 2, n_pairs - len(few))
    ranks = rng.random((len(sizes), n_features)).argsort(axis=1)
    masks = np.concatenate([few, ranks < sizes[:, np.newaxis]])
    size = masks.sum(axis=1)
    share = np.full(n_pairs, (n_features - 5) / len(sizes))  # of the kernel's weight of a size
    share[: len(few)] = [2 / math.comb(n_features, s) for s in size[: len(few)]]
    return masks, share / (size * (n_features - size))


def shapley_values(masks, weights, odd, whole):
    """Fit terms x_i and x_i x_j x_k in x = +-1 for present and absent; add up what they are worth.

    As games, x_i gives 2 to feature i, and x_i x_j x_k gives 2/3 to each of its three.

    Parameters
    ----------
    masks, weights : one coalition of each pair, see `draw`.
    odd : (n_pairs, n_games), half of v(S) - v(not S).
    whole : (n_games,), half of v(everybody) - v(nobody), which the fit meets exactly.

    Returns
    -------
    (n_features, n_games).
    """
    n_pairs, n_features = masks.shape
    enough = n_pairs >= PAIRS_FOR_A_TRIPLE * math.comb(n_features, 3)
    triples = np.array(list(combinations(range(n_features), 3)) if enough else [], dtype=np.intp)
    triples = triples.reshape(-1, 3)
    n_terms = n_features + len(triples) - 1
    gram, product = np.zeros((n_terms, n_terms)), np.zeros((n_terms, len(whole)))
    for start in range(0, n_pairs, BLOCK):
        some = slice(start, start + BLOCK)
        x = np.where(masks[some], np.float32(1), np.float32(-1))
        root = np.sqrt(weights[some] / weights.mean()).astype(np.float32)[:, np.newaxis]
        # All coefficients add up to the whole: the first is what the others leave of it.
        columns = (_terms(x, triples)[:, 1:] - x[:, :1]) * root
        left = (odd[some] - x[:, :1] * whole) * root
        gram += columns.T @ columns
        product += columns.T @ left
    a = solve(gram, product, assume_a="pos", overwrite_a=True)
    a = np.concatenate([whole[np.newaxis] - a.sum(axis=0), a])
    values = 2 * a[:n_features]
    for corner in triples.T:
        np.add.at(values, corner, 2 / 3 * a[n_features:])
    return values


def _terms(x, triples):
    i, j, k = triples.T
    return np.concatenate([x, x[:, i] * x[:, j] * x[:, k]], axis=1)


def _odd_parts(worth, n_rows, masks, title):
    """What `shapley_values` takes, for a game of each row and output."""
    ends = np.array([[False], [True]]).repeat(masks.shape[1], axis=1)
    odd, whole = [], []
    for row in tqdm(range(n_rows), title, unit="row", leave=False):
        present, absent, (nobody, everybody) = (worth(row, some) for some in (masks, ~masks, ends))
        odd.append((present - absent) / 2)
        whole.append((everybody - nobody) / 2)
    return np.concatenate(odd, axis=1), np.concatenate(whole)


def masked(f, rows, known):
    """What coalitions are worth by the definition: mask, run, average over the background.

    Parameters
    ----------
    f : rows (n, n_columns) to outputs (n, n_outputs).
    rows : (n_rows, n_columns).
    known : the background.

    Returns
    -------
    What `refer` takes.
    """
    block = max(1, BLOCK * 10 // len(known.rows))

    def worth(row, masks):
        answer = []
        for start in range(0, len(masks), block):
            mask = masks[start : start + block, np.newaxis, known.owner]
            mixed = np.where(mask, rows[row], known.rows)  # (coalitions, background, columns)
            outputs = f(mixed.reshape(-1, mixed.shape[-1]))
            answer.append(known.weights @ outputs.reshape(*mixed.shape[:2], -1))
        return np.concatenate(answer)

    return worth
