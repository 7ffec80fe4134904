"""What a model is for: to tell classes or numbers."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from scoring.errors import ParameterError
from scoring.models.model import Task

__all__ = ["ModelTask", "task_of"]


class ModelTask(StrEnum):
    """The guide's names."""

    Classification = "classification"
    Regression = "regression"
    Unknown = "unknown"


def task_of(model_task: Any) -> Task | None:
    """Return the task that was given, or None for the model's own.

    Parameters
    ----------
    model_task : a `ModelTask`, its text, or another library's enumeration of the same texts.

    Raises
    ------
    ParameterError
    """
    given = str(getattr(model_task, "value", model_task)).lower()
    tasks: dict[str, Task | None] = {
        "classification": "classification",
        "regression": "regression",
        "unknown": None,
    }
    if given not in tasks:
        raise ParameterError("model_task", f"must be one of {', '.join(tasks)}")
    return tasks[given]
