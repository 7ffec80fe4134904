"""What a model is for: to tell classes or numbers."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from scoring.errors import ParameterError
from scoring.network import is_network
from scoring.predictor import OutputSpace

__all__ = ["ModelTask", "space_of"]


class ModelTask(StrEnum):
    """The guide's names."""

    Classification = "classification"
    Regression = "regression"
    Unknown = "unknown"


def space_of(model: Any, model_task: Any, output_space: OutputSpace | None) -> OutputSpace | None:
    """Return the output space to ask for, or None for the model's own choice.

    A function does not tell what it answers, so its task does. An estimator does tell, and the
    task must not contradict it.

    Parameters
    ----------
    model_task : a `ModelTask`, its text, or another library's enumeration of the same texts.

    Raises
    ------
    ParameterError
        A task that is none, or not the model's.
    """
    given = str(getattr(model_task, "value", model_task)).lower()
    if given not in set(ModelTask):
        known = ", ".join(ModelTask)
        raise ParameterError("model_task", f"must be one of {known}")
    owner = getattr(model, "__self__", model)
    if given == ModelTask.Unknown:
        return output_space
    if hasattr(owner, "predict") and not is_network(owner):
        own = ModelTask.Classification if hasattr(owner, "classes_") else ModelTask.Regression
        if given != own:
            fix = f"Pass model_task='{own}', or leave it out."
            raise ParameterError("model_task", f"must be the model's, which is {own}", fix)
        return output_space
    return output_space or ("probability" if given == ModelTask.Classification else "value")
