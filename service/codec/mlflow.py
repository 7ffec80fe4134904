"""Bodies as MLflow's scoring server reads and writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scoring.explanation import Scored
from scoring.schema import FeatureSchema
from service.codec.answer import to_json, to_response
from service.codec.instances import broken, object_of, read_rows, read_split
from service.codec.json_text import parse
from service.codec.media import CSV, JSON
from service.codec.orientations import read
from service.codec.rows import Rows, checked, to_rows
from service.codec.structure import check_structure
from service.errors import BadOption
from service.options import Options

__all__ = ["read_invocation", "to_invocation", "to_predictions"]

_ROWS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def read_invocation(
    body: bytes, schema: FeatureSchema, max_rows: int, media_type: str = JSON
) -> tuple[Rows, dict[str, Any]]:
    """Read the body of `/invocations`: its rows, and its `params`, which CSV has none of.

    Raises
    ------
    BrokenBody, UnreadableBody, TooManyRows, TooManyValues, RowsError
        It is not what it says to be, is too long, or breaks rules.
    BadOption
        `params` is no object.
    """
    if media_type == CSV:
        return to_rows(body, schema, max_rows, CSV), {}
    check_structure(body, schema.n_features, max_rows)
    content = object_of(parse(body), (*_ROWS, "params"))
    given = [name for name in _ROWS if name in content]
    if len(given) != 1:
        broken(f"the body must hold exactly one of {', '.join(_ROWS)}")
    params = content.get("params")
    if params is not None and not isinstance(params, dict):
        raise BadOption("params must be an object of options.")
    return _read(given[0], content[given[0]], schema, max_rows), params or {}


def _read(name: str, rows: Any, schema: FeatureSchema, max_rows: int) -> Rows:
    if name == "dataframe_split":
        if not isinstance(rows, dict) or not {"columns", "data"} <= rows.keys():
            broken("dataframe_split must be an object of columns, data and, at will, index")
        return read_split(rows, schema, max_rows)
    if name == "inputs" and isinstance(rows, dict):  # a list, or a tensor, for each column
        return checked(read(rows, schema.names, max_rows), schema)
    return read_rows(rows, schema, max_rows)


def to_predictions(scored: Scored) -> bytes:
    """Write `{"predictions": [...]}`, which is what both MLflow and KServe's V1 answer."""
    return to_json({"predictions": scored.predictions.tolist()})


def to_invocation(
    scored: Scored,
    rows: Rows,
    model: dict[str, str],
    options: Options,
    classes: Mapping[Any, str],
) -> bytes:
    """Write what `/score` answers; `predictions` are there in its other layout as well."""
    answer = to_response(scored, rows, model, options, classes)
    if options.layout == "guide":
        return answer
    return b"%b,%b" % (to_predictions(scored)[:-1], answer[1:])
