"""Bodies as KServe's V1 protocol has them; predictions look as MLflow's do."""

from __future__ import annotations

import orjson

from scoring.schema import FeatureSchema
from service.codec.answer import to_json
from service.codec.instances import broken, object_of, read_rows
from service.codec.json_text import parse
from service.codec.rows import Rows
from service.codec.structure import check_structure

__all__ = ["read_instances", "to_explanations"]


def read_instances(body: bytes, schema: FeatureSchema, max_rows: int) -> Rows:
    """Read `{"instances": [...]}`: rows as lists in the schema's order, or as objects.

    Raises
    ------
    BrokenBody, TooManyRows, TooManyValues, RowsError
        It is not JSON, is too long, or breaks rules.
    """
    check_structure(body, schema.n_features, max_rows)
    content = object_of(parse(body), ("instances",))
    if "instances" not in content:
        broken("the body must hold instances, a list of rows")
    return read_rows(content["instances"], schema, max_rows)


def to_explanations(answer: bytes) -> bytes:
    """Write `{"explanations": ...}` around what `/score` answers."""
    return to_json({"explanations": orjson.Fragment(answer)})
