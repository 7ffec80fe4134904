"""A torch network as a function of rows: float32 in, float64 out.

Torch is imported only where a network is asked, and is an extra.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Network", "is_network"]


def is_network(model: Any) -> bool:
    """Whether this is a torch module; asks without importing torch."""
    return any(kind.__module__ == "torch.nn.modules.module" for kind in type(model).__mro__)


@dataclass(frozen=True, eq=False)
class Network:
    """A torch module that takes rows of numbers."""

    module: Any

    def __call__(self, rows: Any) -> NDArray[np.float64]:
        """Return what the network says of rows (n_rows, n_features), as in evaluation.

        Whether it was in training is as it was afterwards.
        """
        import torch

        training = self.module.training
        self.module.eval()
        try:
            with torch.no_grad():
                answer = self.module(torch.as_tensor(np.asarray(rows, dtype=np.float32)))
        finally:
            self.module.train(training)
        return np.asarray(answer.numpy(), dtype=np.float64)
