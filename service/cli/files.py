"""Files of rows, models and results; what a file holds is told by its extension."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scoring.errors import ParameterError
from scoring.forms.skops import TRUSTED
from scoring.predictor import OutputSpace

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_json", "read_model", "read_parquet", "write_frame"]

# What reading a file of another kind, or of another library's version, ends in.
_UNREADABLE = (AttributeError, EOFError, ImportError, KeyError, TypeError, ValueError)


def read_parquet(path: Path) -> pd.DataFrame:
    """Read rows from Parquet."""
    import pandas as pd

    try:
        return pd.read_parquet(path)
    except _UNREADABLE as exc:
        raise click.ClickException(f"{path} cannot be read: {exc}") from exc


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a result as CSV or Parquet."""
    if path.suffix.lower() == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)


def read_model(path: Path, output_space: OutputSpace | None, classes: list[str] | None) -> Any:
    """Read a fitted model. Pickles run code of whoever wrote them: read your own ones only."""
    try:
        match path.suffix.lower():
            case ".joblib" | ".pkl" | ".pickle":
                return _read_pickle(path)
            case ".skops":
                return _read_skops(path)
            case ".onnx":
                return _read_onnx(path, output_space, classes)
            case ".json" | ".ubj":
                return _read_xgboost(path)
            case ".txt":
                return _read_lightgbm(path)
    except click.ClickException:
        raise
    except Exception as exc:  # reading a pickle runs whatever it says, and that raises anything
        raise click.ClickException(f"{path} cannot be read: {exc}") from exc
    kinds = ".joblib, .pkl, .skops, .onnx, XGBoost's .json or .ubj, or LightGBM's .txt"
    raise click.ClickException(f"{path} must be {kinds}.")


def _read_pickle(path: Path) -> Any:
    import joblib

    return joblib.load(path)


def _read_xgboost(path: Path) -> Any:
    import xgboost

    return xgboost.Booster(model_file=path)


def _read_lightgbm(path: Path) -> Any:
    import lightgbm

    if not path.read_bytes().startswith(b"tree\n"):
        raise click.ClickException(f"{path} is no model of LightGBM's.")
    return lightgbm.Booster(model_file=path)


def _read_skops(path: Path) -> Any:
    import skops.io

    return skops.io.load(path, trusted=sorted(TRUSTED))


def _read_onnx(path: Path, output_space: OutputSpace | None, classes: list[str] | None) -> Any:
    from scoring.forms.onnx import OnnxModel

    try:
        return OnnxModel.open(path, output_space=output_space)
    except ParameterError:
        if not classes:
            told = f"{path} names no classes; give --classes in the order of its scores."
            raise click.ClickException(told) from None
        numbers = range(len(classes))  # what the file answers; `classes` are shown for them
        return OnnxModel.open(path, output_space=output_space, labels=numbers)


def read_json(path: Path) -> dict[str, Any]:
    """Read an object from a JSON file."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as exc:
        raise click.ClickException(f"{path} is not well-formed JSON: {exc}") from exc
    if not isinstance(told, dict):
        raise click.ClickException(f"{path} must hold an object.")
    return told
