"""MLflow's own client of its scoring server, spoken to ours."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
from speaking import error_of, tell


def speak(task: dict[str, Any]) -> dict[str, Any]:
    """Send rows in every way the client has."""
    client = ScoringServerClient(task["host"], task["port"])
    client.wait_server_ready(timeout=60)
    frame = pd.DataFrame(task["rows"])
    heard = client.invoke(frame)
    lists = [list(row.values()) for row in task["rows"]]
    tiny = ScoringServerClient(task["host"], task["tiny_port"])
    return {
        "version": client.get_version(),
        "frame": heard,
        "as_frame": heard.get_predictions().to_dict(orient="list"),
        "explained": client.invoke(frame, params={"explain": True}),
        "list": client.invoke(lists),
        "array": tiny.invoke(np.array([[0.5], [1.5]])),
        "by_hand": client.invoke(json.dumps({"dataframe_records": task["rows"]})),
        "error": error_of(lambda: client.invoke(frame.drop(columns="age"))),
    }


if __name__ == "__main__":
    tell(speak)
