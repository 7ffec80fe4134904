"""Shapley values from their definition, one coalition after the other. Imports nothing of ours."""

from __future__ import annotations

import math
from itertools import chain, combinations

import numpy as np


def coalitions(n):
    """Every subset of range(n), as tuples."""
    return chain.from_iterable(combinations(range(n), size) for size in range(n + 1))


def shapley(v, n):
    """Shapley (1953): sum over S without j of |S|! (n-|S|-1)! / n! (v(S + j) - v(S)).

    `v` maps a frozenset of players to a number or an array of outputs. Returns (n, ...).
    """
    worth = {frozenset(s): np.asarray(v(frozenset(s)), dtype=float) for s in coalitions(n)}
    values = [np.zeros_like(worth[frozenset()]) for _ in range(n)]
    for j in range(n):
        others = [i for i in range(n) if i != j]
        for size in range(n):
            share = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
            for s in combinations(others, size):
                values[j] = values[j] + share * (worth[frozenset((*s, j))] - worth[frozenset(s)])
    return np.array(values)


def interventional(f, row, background, weights=None):
    """The game `S -> sum_b w_b f(row on S, b elsewhere)`; `f` takes (n_rows, n_features)."""
    weights = np.full(len(background), 1 / len(background)) if weights is None else weights

    def v(s):
        masked = background.copy()
        members = sorted(s)
        masked[:, members] = row[members]
        return np.tensordot(weights, np.asarray(f(masked), dtype=float), axes=(0, 0))

    return v


def shapley_rows(f, rows, background, weights=None):
    """(n_rows, n_features, ...) for the interventional game of every row."""
    n = rows.shape[1]
    return np.array([shapley(interventional(f, row, background, weights), n) for row in rows])


def shapley_of_sum(f, moves):
    """Shapley values of `S -> f(sum of the moves of S)`, for many players and whole moves.

    Coalitions without j are counted by size and sum, so none is listed. `f` takes an array.
    """
    n, reach = len(moves), int(np.abs(moves).sum())
    sums = np.arange(-reach, reach + 1)
    values = np.zeros(n)
    for j in range(n):
        counts = np.zeros((n, len(sums)))  # by size, and sum
        counts[0, reach] = 1.0
        for i in range(n):
            if i != j:
                counts[1:] += np.roll(counts[:-1], moves[i], axis=1)
        shares = [1 / (n * math.comb(n - 1, size)) for size in range(n)]
        values[j] = np.array(shares) @ counts @ (f(sums + moves[j]) - f(sums))
    return values
