"""`shapserve distil`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from scoring.errors import ShapserveError
from scoring.predictor import OutputSpace
from service.cli.csv_frame import ColumnTypes, read_cells, typed, with_dtypes
from service.cli.files import read_json, read_model, read_parquet
from service.cli.learnt_types import learnt_types
from service.cli.options import dtypes_of, names, option

if TYPE_CHECKING:
    import pandas as pd

    from scoring.reasons import ReasonCodes

__all__ = ["distil"]

MODELS = (
    "Fitted model: .joblib, .pkl, .skops, .onnx, or a booster's own file: XGBoost's .json or "
    ".ubj, LightGBM's .txt."
)

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@option("--model", type=_FILE, required=True, help=MODELS)
@option("--data", type=_FILE, required=True, help="Training rows: .csv or .parquet.")
@option("--features", type=names, help="Columns the model takes, in order; else all the others.")
@option("--target", type=names, default="", help="Columns of the file to leave out.")
@option(
    "--dtypes", type=dtypes_of, metavar="NAME=DTYPE,...", help="pandas dtypes, or a .json file."
)
@option("--classes", type=names, help="Names for the model's classes, in its own order.")
@option("--output", type=click.Path(path_type=Path), required=True, help="Directory to make.")
@option("--name", help="Name of the model in every answer.")
@option("--version", help="Its version in every answer.")
@option("--output-space", type=click.Choice(get_args(OutputSpace)), help="What is explained.")
@option("--tolerance", type=float, help="Relative RMS error to keep to.")
@option("--strict/--no-strict", default=True, help="Whether missing the tolerance is an error.")
@option("--coalitions", type=int, help="Size of the design; else as small as is exact.")
@option("--reason-codes", type=_FILE, help="Texts per feature and direction: .json.")
@option("--groups", type=_FILE, help="Per name a list of features that are one player: .json.")
@option("--validation", type=_FILE, help="Held-out rows to measure on: .csv or .parquet.")
@option("--background", type=click.IntRange(1), help="Rows that a longer file is summarised to.")
@option(
    "--baseline", multiple=True, metavar="NAME=FILE", help="Rows to explain against on request."
)
@option("--seed", type=int, default=0, help="Seed of the design.")
@option("--exist-ok", is_flag=True, help="Overwrite an artifact that is there.")
@option("--progress/--no-progress", default=True, help="Show how far it is.")
def distil(
    *,
    model: Path,
    data: Path,
    output: Path,
    features: list[str] | None,
    target: list[str],
    dtypes: dict[str, str] | None,
    validation: Path | None,
    classes: list[str] | None,
    output_space: OutputSpace | None,
    **knobs: Any,
) -> None:
    """Make a scoring artifact from a fitted model and its training rows."""
    from scoring.artifact import save
    from scoring.explainers.tabular import TabularExplainer
    from scoring.scoring_explainers import KernelScoringExplainer

    if (output / "manifest.json").exists() and not knobs["exist_ok"]:
        raise click.ClickException(f"{output} holds an artifact already; see --exist-ok.")
    fitted = read_model(model, output_space, classes)
    types = ColumnTypes(dtypes or {})
    rows = _chosen(data, features, target, types, fitted)
    columns = list(rows.columns)
    held_out = _chosen(validation, columns, [], types, fitted) if validation else None
    try:
        explainer = TabularExplainer(
            fitted,
            rows,
            classes=classes,
            groups=read_json(knobs["groups"]) if knobs["groups"] else None,
            output_space=output_space,
            n_background=knobs["background"],
        )
    except ShapserveError as exc:
        told = f"{exc} {types.reasons(columns, data)}"
        raise click.ClickException(told.rstrip()) from exc
    scoring_explainer = KernelScoringExplainer(
        explainer,
        validation=held_out,
        tolerance=knobs["tolerance"],
        strict=knobs["strict"],
        n_coalitions=knobs["coalitions"],
        random_state=knobs["seed"],
        reason_codes=_reasons(knobs["reason_codes"]) if knobs["reason_codes"] else None,
        baselines={
            name: _chosen(path, columns, [], types, fitted)
            for name, path in _named_files(knobs["baseline"]).items()
        },
        name=knobs["name"],
        version=knobs["version"],
        progress=knobs["progress"],
    )
    made = save(scoring_explainer, output, exist_ok=knobs["exist_ok"])
    if reasons := types.reasons(columns, data):
        click.echo(reasons, err=True)
    click.echo(made)


def _named_files(given: Sequence[str]) -> dict[str, Path]:
    """Files by name, from NAME=FILE."""
    found: dict[str, Path] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or name in found:
            raise click.ClickException(f"--baseline {text} must be NAME=FILE, each name once.")
        found[name] = Path(path)
    return found


def _reasons(path: Path) -> ReasonCodes:
    """Reason codes from a file: the texts alone, or with `output` and `top`."""
    from scoring.reasons import ReasonCodes

    told = read_json(path)
    if not isinstance(told.get("texts"), dict):
        return ReasonCodes(told)
    unknown = sorted(told.keys() - {"texts", "output", "top"})
    if unknown:
        raise click.ClickException(f"{path} has an unknown key '{unknown[0]}' beside texts.")
    return ReasonCodes(**told)


def _chosen(
    path: Path, features: list[str] | None, target: list[str], types: ColumnTypes, model: Any
) -> pd.DataFrame:
    """The columns of a file that the model takes, each of its type."""
    match path.suffix.lower():
        case ".parquet":
            frame = read_parquet(path)
            return with_dtypes(
                frame[_columns(path, frame.columns.tolist(), features, target)], types, path
            )
        case ".csv":
            cells = read_cells(path)
        case _:
            raise click.ClickException(f"{path} must be .csv or .parquet.")
    chosen = _columns(path, list(cells), features, target)
    if unknown := [name for name in types.given if name not in cells]:
        raise click.ClickException(f"--dtypes: {path} has no column '{unknown[0]}'.")
    if not types.learnt:
        types.learnt = learnt_types(model, chosen)
    return typed(path, {name: cells[name] for name in chosen}, types)


def _columns(
    path: Path, known: list[str], features: list[str] | None, target: list[str]
) -> list[str]:
    """The names of the columns that the model takes."""
    chosen = features or [name for name in known if name not in target]
    unknown = [name for name in [*chosen, *target] if name not in known]
    if unknown:
        raise click.ClickException(f"{path} has no column '{unknown[0]}'.")
    return chosen
