"""`shapserve score`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from scoring.errors import RowsError
from scoring.explanation import Scored
from scoring.schema import FeatureSchema
from scoring.table import Table
from service import codec
from service.cli.files import read_parquet, write_frame
from service.cli.options import names, option
from service.errors import Refusal
from service.scorer import Scorer, load_scorers
from service.settings import Source

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["score"]


@click.command()
@click.argument("rows", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@option("--artifact", type=click.Path(path_type=Path), required=True, help="The artifact to use.")
@option("--expect-sha256", help="The artifact_sha256 that it must have.")
@option("--output", type=click.Path(path_type=Path), help=".json, .csv or .parquet; else stdout.")
@option("--drop", type=names, default="", help="Columns of the file to leave out.")
@option("--block-rows", type=click.IntRange(1), default=1000, help="Rows scored at a time.")
@option("--progress/--no-progress", default=True, help="Show how far it is.")
def score(
    *,
    rows: Path,
    artifact: Path,
    expect_sha256: str | None,
    output: Path | None,
    drop: list[str],
    block_rows: int,
    progress: bool,
) -> None:
    """Score a file of ROWS: .csv, .parquet, or .json as POST /score takes it."""
    if output and output.suffix.lower() not in {".json", ".csv", ".parquet"}:
        raise click.ClickException(f"{output} must be .json, .csv or .parquet.")
    [scorer] = load_scorers([Source(None, artifact, expect_sha256)]).values()
    read = _read(rows, scorer.schema, drop)
    if not read.table.n_rows:
        raise click.ClickException(f"{rows} must have at least one row.")
    scored = _score(scorer, read.table, block_rows, progress=progress)
    _write(scored, read, scorer, output)


def _read(path: Path, schema: FeatureSchema, drop: Sequence[str]) -> codec.Rows:
    match path.suffix.lower():
        case ".parquet":
            frame = read_parquet(path).drop(columns=list(drop), errors="ignore")
            return codec.Rows(schema.encode(frame), frame.index.tolist())
        case ".json" | ".csv" as suffix:
            return _read_body(path, schema, drop, codec.JSON if suffix == ".json" else codec.CSV)
    raise click.ClickException(f"{path} must be .csv, .parquet or .json.")


def _read_body(
    path: Path, schema: FeatureSchema, drop: Sequence[str], media_type: str
) -> codec.Rows:
    """Read a file as the service reads a body."""
    body = path.read_bytes()
    try:
        rows = codec.to_rows(body, schema, len(body), media_type, drop=drop)
    except Refusal as exc:
        raise click.ClickException(f"{path}: {exc.message}") from exc
    if rows.options:
        raise click.ClickException(f"{path} has options, which only POST /score takes.")
    return rows


def _score(scorer: Scorer, table: Table, block_rows: int, *, progress: bool) -> Scored:
    starts = range(0, table.n_rows, block_rows)
    hidden = not (progress and sys.stderr.isatty())
    with click.progressbar(starts, label="scoring", file=sys.stderr, hidden=hidden) as bar:
        return _together([_block(scorer, table, slice(i, i + block_rows)) for i in bar])


def _block(scorer: Scorer, table: Table, rows: slice) -> Scored:
    try:
        return scorer.score(table.take(rows))
    except RowsError as refused:
        raise refused.shifted(rows.start) from refused.__cause__


def _together(parts: Sequence[Scored]) -> Scored:
    """Blocks of rows as if they had been one."""
    first, explanations = parts[0], [part.explanation for part in parts]
    chances = [part.probabilities for part in parts if part.probabilities is not None]
    return Scored(
        np.concatenate([part.predictions for part in parts]),
        np.concatenate(chances) if chances else None,
        replace(
            first.explanation,
            values=np.concatenate([e.values for e in explanations]),
            outputs=np.concatenate([e.outputs for e in explanations]),
        ),
    )


def _write(scored: Scored, read: codec.Rows, scorer: Scorer, output: Path | None) -> None:
    if output is None:
        click.echo(codec.to_response(scored, read, scorer.model))
    elif output.suffix.lower() == ".json":
        output.write_bytes(codec.to_response(scored, read, scorer.model))
    else:
        write_frame(_frame(scored, read.index, scorer), output)


def _frame(scored: Scored, index: Sequence[Any], scorer: Scorer) -> pd.DataFrame:
    """One line a row: label, prediction, probabilities, and the parts that add up to the output."""
    import pandas as pd

    explanation, classes = scored.explanation, scorer.explainer.predictor.classes
    columns: dict[str, Any] = {"index": list(index)}
    if scored.predictions.ndim == 1:
        columns["prediction"] = scored.predictions
    else:
        columns |= {f"prediction:{k}": column for k, column in enumerate(scored.predictions.T)}
    if scored.probabilities is not None:
        columns |= {f"probability:{n}": scored.probabilities[:, k] for k, n in enumerate(classes)}
    for k, name in enumerate(explanation.output_names):
        columns[f"base_value:{name}"] = explanation.base_values[k]
        for j, feature in enumerate(explanation.features):
            columns[f"importance:{name}:{feature}"] = explanation.values[:, j, k]
    columns["additivity_gap"] = explanation.additivity_gap
    return pd.DataFrame(columns)
