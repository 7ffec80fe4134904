"""Columns of datetimes: numbers inside, ISO 8601 in JSON and CSV, their own dtype for the model."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from scoring import (
    KernelScoringExplainer,
    ParameterError,
    RowsError,
    TabularExplainer,
    artifact_sha256,
    load,
    save,
)
from scoring.schema import FeatureSchema, infer_for
from scoring.table import to_frame
from scoring.times import time_unit
from service import codec

STEPS = pd.to_timedelta(np.arange(90) * 9, "D")
DAYS = pd.Series(
    pd.to_datetime("2024-01-01T10:30:00.250") + pd.to_timedelta(np.arange(90) * 9, "D")
)
ZONED = DAYS.dt.tz_localize("UTC").dt.tz_convert("Europe/Brussels")
DTYPES = {
    "datetime64[s]": DAYS,
    "datetime64[ms]": DAYS,
    "datetime64[us]": DAYS,
    "datetime64[ns]": DAYS,
    "datetime64[us, Europe/Brussels]": ZONED,
    "datetime64[ns, UTC]": ZONED,
    "timestamp[us][pyarrow]": DAYS,
    "timestamp[ns, tz=UTC][pyarrow]": ZONED,
}


def parted(frame):
    """What a pipeline makes of a date."""
    month, year = (getattr(frame["d"].dt, part).astype("float64") for part in ("month", "year"))
    return pd.DataFrame({"a": frame["a"], "month": month % 3, "year": year - 2024})


def written(values, dtype):
    return values.dt.floor("s").astype(dtype) if "[s]" in dtype else values.astype(dtype)


@pytest.fixture(scope="module")
def x():
    return pd.DataFrame({"d": DAYS, "a": np.linspace(-1, 1, len(DAYS))})


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_pipeline_that_takes_dates_apart_comes_back_from_an_artifact(x, dtype, tmp_path):
    x = x.assign(d=written(DTYPES[dtype], dtype))
    model = make_pipeline(FunctionTransformer(parted), LogisticRegression())
    model.fit(x, (DAYS.dt.month % 3 == 1) ^ (x["a"] > 0.5))
    later = x.assign(d=x["d"] + pd.Timedelta(days=4000))  # the dtype's limit, not the sample's
    rows = pd.concat([x, later], ignore_index=True)
    save(KernelScoringExplainer(TabularExplainer(model, x[:30])), tmp_path / "artifact")
    loaded = load(tmp_path / "artifact", artifact_sha256(tmp_path / "artifact"))
    scored = loaded.score(loaded.predictor.schema.encode(rows))
    np.testing.assert_array_equal(scored.predictions, model.predict(rows))
    assert scored.probabilities is not None
    np.testing.assert_allclose(scored.probabilities, model.predict_proba(rows), atol=1e-9)
    assert scored.explanation.additivity_gap.max() < 1e-9
    texts = rows.assign(d=[value.isoformat() for value in rows["d"]])
    bodies = {
        codec.JSON: texts.to_json(orient="records", double_precision=15),
        codec.CSV: texts.to_csv(index=False),
    }
    for media_type, body in bodies.items():
        table = codec.to_rows(body.encode(), loaded.predictor.schema, 500, media_type).table
        np.testing.assert_array_equal(loaded.predict(table), model.predict(rows))
    sample = codec.sample_body(loaded.predictor.schema, loaded.sample)
    again = codec.to_rows(json.dumps(sample).encode(), loaded.predictor.schema, 1).table
    np.testing.assert_array_equal(again.codes[0], loaded.sample)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_column_keeps_its_dtype_and_its_gaps(dtype):
    column = written(DTYPES[dtype], dtype)
    column[3] = pd.NaT
    frame = pd.DataFrame({"d": column})
    schema = infer_for(None, frame)
    table = schema.encode(frame)
    assert np.isnan(table.codes[:, 0]).sum() == 1
    pd.testing.assert_frame_equal(to_frame(table, schema.features), frame)


def month(frame):
    """A step that takes polars only."""
    return frame.select("a", pl.col("d").dt.month() % 3)


@pytest.mark.parametrize(
    "dtype", [pl.Date, pl.Datetime("us"), pl.Datetime("ns"), pl.Datetime("ms", "Europe/Brussels")]
)
def test_polars_models_get_polars_times(x, dtype):
    frame = pl.DataFrame({"d": pl.Series(ZONED.tolist()).cast(dtype), "a": x["a"].to_numpy()})
    model = make_pipeline(FunctionTransformer(month), LogisticRegression())
    model.fit(frame, (frame["d"].dt.month() % 3 == 1).to_numpy() ^ (x["a"] > 0.5))
    explainer = TabularExplainer(model, frame[:40])
    outputs = explainer.explain_local(frame.select("a", "d")).outputs
    np.testing.assert_allclose(outputs, model.predict_proba(frame), atol=1e-12)


@pytest.mark.parametrize("dtype", ["date32[day]", "timestamp[us]", "timestamp[ms, tz=UTC]"])
def test_arrow_tables_hold_times(dtype):
    values = (ZONED if "tz" in dtype else DAYS).dt.floor("D")
    kind = pa.timestamp("ms", "UTC") if "tz" in dtype else pa.timestamp("us")
    kind = pa.date32() if "date" in dtype else kind
    table = pa.table({"d": pa.array(values, from_pandas=True).cast(kind)})
    schema = infer_for(None, table)
    expected = values.dt.tz_convert("UTC").dt.tz_localize(None) if "tz" in dtype else values
    unit = time_unit(schema.features[0].dtype)
    codes = expected.to_numpy().astype(f"M8[{unit}]").astype(np.int64)
    np.testing.assert_array_equal(schema.encode(table).codes[:, 0], codes)


@pytest.mark.parametrize(
    ("dtype", "value", "rule"),
    [
        ("datetime64[us]", 1704105000, "must be a time in ISO 8601"),
        ("datetime64[us]", "yesterday", "must be a time in ISO 8601"),
        ("datetime64[ns]", "2024-01-01T00:00:00.1234567", "to the microsecond at most"),
        ("datetime64[s]", "2024-01-01T00:00:00.5", "must be in whole seconds"),
        ("datetime64[us]", "2024-01-01T00:00:00+01:00", "must have no offset from UTC"),
        ("datetime64[us, UTC]", "2024-01-01T00:00:00", "must have an offset from UTC"),
        ("datetime64[ns]", "2300-01-01", "must lie between"),
        ("datetime64[us]", None, "must not be missing"),
    ],
)
def test_what_is_no_such_time_is_refused(dtype, value, rule):
    schema = FeatureSchema.infer(pd.DataFrame({"d": written(DTYPES.get(dtype, ZONED), dtype)}))
    with pytest.raises(RowsError, match=rule):
        schema.encode_columns({"d": [value]})


@pytest.mark.parametrize(
    ("dtype", "value", "same"),
    [
        ("datetime64[us]", "2024-01-01", "2024-01-01T00:00:00.000000000"),
        ("datetime64[ms]", "20240101T103000", "2024-01-01 10:30:00.000"),
        ("datetime64[us, Europe/Brussels]", "2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00"),
    ],
)
def test_one_time_may_be_written_in_several_ways(dtype, value, same):
    schema = FeatureSchema.infer(pd.DataFrame({"d": written(DTYPES[dtype], dtype)}))
    one, other = schema.encode_columns({"d": [value, same]}).codes[:, 0]
    assert one == other


def test_nanoseconds_that_a_code_does_not_hold_are_refused():
    frame = pd.DataFrame({"d": pd.to_datetime(["2024-01-01T00:00:00.000000001"])})
    with pytest.raises(ParameterError, match="column 'd' must be in whole microseconds"):
        FeatureSchema.infer(frame.astype("datetime64[ns]"))


def test_an_array_has_no_place_for_times():
    with pytest.raises(ParameterError, match="must hold numbers"):
        FeatureSchema.infer(DAYS.to_numpy()[:, np.newaxis])


def test_times_are_described_as_texts():
    schema = FeatureSchema.infer(pd.DataFrame({"d": DAYS[:2].astype("datetime64[us]")}))
    [described] = codec.feature_documents(schema)
    assert (described["type"], described["minimum"]) == ("datetime", "2024-01-01T10:30:00.250000")
