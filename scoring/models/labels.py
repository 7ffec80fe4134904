"""Labels of classes: plain Python values of one kind, one for each row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ModelError, ParameterError
from scoring.texts import encodable

__all__ = ["are_labels", "checked_labels", "labels_of", "one_a_row", "several_targets"]


def labels_of(classes: Any) -> tuple[Any, ...]:
    """Return `classes_` as plain Python values; () for None."""
    if classes is None:
        return ()
    listed = classes.tolist() if hasattr(classes, "tolist") else list(classes)
    values = [each.item() if isinstance(each, np.generic) else each for each in listed]
    if {type(each) for each in values} == {int, float}:
        values = [float(each) for each in values]
    return tuple(values)


def are_labels(labels: Any) -> bool:
    """Whether these can be classes: distinct, of one kind, and numbers that a model can answer."""
    if not isinstance(labels, (list, tuple)) or len({type(label) for label in labels}) > 1:
        return False
    if not all(type(label) in (str, bool, int, float) for label in labels):
        return False
    in_range = all(isinstance(n, (str, bool)) or abs(n) < 2**63 for n in labels)
    known = all(encodable(label) for label in labels if isinstance(label, str))
    return known and in_range and len(set(labels)) == len(labels)


def checked_labels(classes: Any) -> tuple[Any, ...]:
    """Return a model's classes, or say what is wrong with them.

    Raises
    ------
    ParameterError
        Several targets, or classes that an artifact and an answer cannot name.
    """
    labels = labels_of(classes)
    if any(hasattr(label, "__len__") and not isinstance(label, (str, bytes)) for label in labels):
        raise several_targets()
    if not are_labels(labels):
        rule = "must have classes of one kind: texts, booleans, or finite numbers, each once"
        kinds = ", ".join(sorted({type(label).__name__ for label in labels}))
        fix = f"Its classes are of type {kinds}; fit it to texts or numbers that stand for them."
        raise ParameterError("model", rule, fix)
    return labels


def one_a_row(answer: Any, n_rows: int) -> NDArray[Any]:
    """Return labels (n_rows,), of what `predict` answers: CatBoost answers (n_rows, 1).

    Raises
    ------
    ModelError
        Several labels for a row, or for another number of rows.
    """
    labels = np.asarray(answer)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (n_rows,):
        rule = f"the model answered labels of shape {labels.shape} for {n_rows} rows"
        raise ModelError(f"{rule}; it must answer one for each row.")
    return labels


def several_targets() -> ParameterError:
    """Error for a model that answers several classes for each row."""
    rule = "must answer one class for each row, and this one answers several (several targets, or "
    fix = (
        "Explain one of them at a time, by an object whose predict and predict_proba answer it "
        "alone (MultiOutputClassifier and OneVsRestClassifier keep one in each of estimators_)."
    )
    return ParameterError("model", f"{rule}several labels)", fix)
