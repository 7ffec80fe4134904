"""The same rows over HTTP, as JSON and CSV, and through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from click.testing import CliRunner
from starlette.testclient import TestClient

from service.app import create_app
from service.cli import cli
from service.scorer import Scorer
from service.settings import Settings
from tests.fuzz.outcome import Finding, Outcome, plain

CSV = {"content-type": "text/csv"}
SAME = 1e-9
WRITTEN = 1e-6
"""The same where numbers are written with a float32's digits, which are another float64."""


def check_served(
    loaded: Any, sha256: str, directory: Path, rows: pd.DataFrame, expected: Any, outcome: Outcome
) -> None:
    """Hold the answers to accepted rows against those from Python.

    Parameters
    ----------
    rows : those that Python answers.
    expected : `score` of them.
    """
    outcome.served = True
    records = [{name: _plain(value) for name, value in row.items()} for row in _records(rows)]
    text = rows.to_csv(index=False)
    with TestClient(create_app(Settings(), {"model": Scorer("model", loaded, sha256)})) as client:
        answers = {"http": client.post("/score", json=records)}
        if _survives_csv(rows):
            answers["csv"] = client.post("/score", content=text.encode(), headers=CSV)
    small = any(str(dtype).lower() == "float32" for dtype in rows.dtypes)
    close = {"http": SAME, "csv": WRITTEN if small else SAME}
    for kind, answer in answers.items():
        if answer.status_code != 200:
            outcome.add(Finding(kind, f"status {answer.status_code}: {_rules(answer.text)}"))
        elif difference := _difference(answer.json(), expected, close[kind]):
            outcome.add(Finding(kind, difference))
    if "csv" in answers:
        _check_command(sha256, directory, text, expected, outcome, close["csv"])


def _check_command(
    sha256: str, directory: Path, text: str, expected: Any, outcome: Outcome, close: float
) -> None:
    rows = directory.parent / "rows.csv"
    rows.write_text(text)
    output = directory.parent / "answer.json"
    arguments = ["score", str(rows), "--artifact", str(directory), "--expect-sha256", sha256]
    ended = CliRunner().invoke(cli, [*arguments, "--output", str(output)])
    if ended.exit_code:
        kind = "cli" if isinstance(ended.exception, SystemExit) else "crash: cli"
        outcome.add(Finding(kind, plain(ended.output.strip()) or repr(ended.exception)))
    elif difference := _difference(json.loads(output.read_text()), expected, close):
        outcome.add(Finding("cli", difference))


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): rows[name].iloc[k] for name in rows} for k in range(len(rows))]


def _plain(value: Any) -> Any:
    if value is None or pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if isinstance(value, np.float32):
        return float(value)
    return value.item() if isinstance(value, np.generic) else value


def _survives_csv(rows: pd.DataFrame) -> bool:
    """Whether no text is empty: CSV writes it as it writes a gap."""
    return not any((rows[name].astype(object) == "").any() for name in rows)


def _rules(text: str) -> str:
    error = json.loads(text)["error"]
    rules = dict.fromkeys(violation["rule"] for violation in error["violations"])
    return "; ".join([error["code"], *rules])


def _difference(answer: dict[str, Any], expected: Any, close: float) -> str:
    """What differs between an answer and what Python has for the same rows; "" for nothing."""
    predictions = expected.predictions.tolist()
    if answer["predictions"] != predictions and not _close(
        answer["predictions"], predictions, close
    ):
        return "predictions differ from Python's"
    by_output = np.moveaxis(expected.explanation.values, -1, 0)  # (n_outputs, n_rows, n_features)
    values = np.array(answer["local_importance_values"], dtype=float)
    if values.ndim == 2:
        values = values[np.newaxis]
    if values.shape != by_output.shape or not _close(values, by_output, close):
        return "values differ from Python's"
    return ""


def _close(one: Any, other: Any, close: float) -> bool:
    try:
        one, other = np.array(one, dtype=float), np.array(other, dtype=float)
    except (TypeError, ValueError):
        return False
    finite = other[np.isfinite(other)]
    scale = float(np.abs(finite).max(initial=0.0)) or 1.0
    other = np.where(np.isfinite(other), other, np.nan)
    return bool(np.allclose(one, other, rtol=close, atol=close * scale, equal_nan=True))
