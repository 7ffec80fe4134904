"""A torch network as a function of rows: its own kind of numbers in, float64 out.

Torch is imported only where a network is asked, and is an extra.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ModelError

__all__ = ["Network", "is_network"]


def is_network(model: Any) -> bool:
    """Whether this is a torch module, and no scikit-learn estimator too; does not import torch.

    A method called `predict` makes no estimator of it: networks have such methods of tensors.
    """
    if hasattr(model, "__sklearn_tags__"):
        return False
    return any(kind.__module__ == "torch.nn.modules.module" for kind in type(model).__mro__)


@dataclass(frozen=True, eq=False)
class Network:
    """A torch module that takes rows of numbers."""

    module: Any

    def __call__(self, rows: Any) -> NDArray[np.float64]:
        """Return what the network says of rows (n_rows, n_features), as in evaluation.

        Raises
        ------
        ModelError
            It answers something else than one tensor.
        """
        import torch

        with self.evaluating(), torch.no_grad():
            answer = self.module(self.tensor(rows))
        if not isinstance(answer, torch.Tensor):
            kind = type(answer).__name__
            raise ModelError(f"the network answered a {kind}; it must answer one tensor.")
        return np.asarray(answer.double().cpu().numpy())

    def tensor(self, rows: Any) -> Any:
        """Return rows as the tensor that the network takes: of its parameters' type and device."""
        import torch

        given = torch.as_tensor(np.asarray(rows, dtype=np.float64))
        like = next((p for p in self.module.parameters() if p.is_floating_point()), None)
        return given.float() if like is None else given.to(like.device, like.dtype)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Put the network into evaluation, and each part of it back afterwards.

        Part by part, because some may have been frozen while the rest was in training.
        """
        before = [(part, part.training) for part in self.module.modules()]
        self.module.eval()
        try:
            yield
        finally:
            for part, training in before:
                part.training = training
