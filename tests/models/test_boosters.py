"""Native boosters as what their objective says, and objectives of somebody's own."""

from __future__ import annotations

import json

import numpy as np
import pytest

from scoring import ParameterError, TabularExplainer, artifact_sha256, load
from service.cli import run
from tests.models.agreement import ROWS, X, agrees, explained, labelled, reloaded

TWO, THREE = labelled([0, 1]), labelled([0, 1, 2])
NUMBERS = X[:, 0] * 2 + X[:, 1] ** 2 + 10
QUIET = {"verbosity": 0, "max_depth": 2, "nthread": 1}


def xgb(objective=None, y=NUMBERS, names=None, **options):
    xgboost = pytest.importorskip("xgboost")
    given = {} if objective is None else {"objective": objective}
    data = xgboost.DMatrix(X, label=y, feature_names=names)
    return xgboost.train(QUIET | given | options, data, num_boost_round=4)


def lgb(objective=None, y=NUMBERS, **options):
    lightgbm = pytest.importorskip("lightgbm")
    given = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 5, "max_depth": 2}
    data = lightgbm.Dataset(X, label=y)
    given |= {} if objective is None else {"objective": objective}
    return lightgbm.train(given | options, data, num_boost_round=4)


def answer(booster, **options):
    if type(booster).__module__.startswith("lightgbm"):
        return booster.predict(ROWS, raw_score=options.get("margin", False))
    import xgboost

    data = xgboost.DMatrix(ROWS, feature_names=booster.feature_names)
    return booster.predict(data, output_margin=options.get("margin", False))


def softmax(margins):
    grown = np.exp(margins - margins.max(axis=1, keepdims=True))
    return grown / grown.sum(axis=1, keepdims=True)


def columns(likely):
    return likely if likely.ndim == 2 else np.column_stack([1 - likely, likely])


LIKELY = {
    "XGBoost, two": lambda: xgb("binary:logistic", TWO),
    "XGBoost, three": lambda: xgb("multi:softprob", THREE, num_class=3),
    "XGBoost, names": lambda: xgb("binary:logistic", TWO, ["a", "b", "c"]),
    "LightGBM, two": lambda: lgb("binary", TWO),
    "LightGBM, three": lambda: lgb("multiclass", THREE, num_class=3),
    "LightGBM, one against all": lambda: lgb("multiclassova", THREE, num_class=3),
}


@pytest.mark.parametrize("space", ["probability", "margin"])
@pytest.mark.parametrize("name", LIKELY)
def test_classes_have_probabilities_and_margins(name, space):
    booster = LIKELY[name]()
    likely = columns(answer(booster))
    expected = likely if space == "probability" else answer(booster, margin=True)
    explainer = explained(booster, output_space=space)
    agrees(explainer, likely.argmax(axis=1), expected)
    assert explainer.predictor.model.spaces == ("probability", "margin")
    named = explained(booster, output_space=space, classes=["no", "yes", "?"][: likely.shape[1]])
    assert named.classes[:2] == ("no", "yes")


def test_softmax_answers_labels_and_has_probabilities_all_the_same():
    booster = xgb("multi:softmax", THREE, num_class=3)
    likely = softmax(answer(booster, margin=True).astype(float))
    agrees(explained(booster), answer(booster), likely)


@pytest.mark.parametrize("objective", ["binary:logitraw", "binary:hinge"])
def test_margins_are_not_called_probabilities(objective):
    booster = xgb(objective, TWO)
    margins = answer(booster, margin=True)
    loaded = agrees(explained(booster), (margins > 0).astype(int), margins)
    assert loaded.predictor.space == "margin"
    import xgboost

    model = xgboost.XGBClassifier(objective=objective, n_estimators=4, max_depth=2).fit(X, TWO)
    if objective == "binary:logitraw":
        loaded = agrees(explained(model), model.predict(ROWS),
                        model.predict(ROWS, output_margin=True))  # fmt: skip
        assert loaded.predictor.space == "margin"


def own(score, data):
    y = data.get_label()
    p = 1 / (1 + np.exp(-score))
    return p - y, p * (1 - p)


NUMERIC = {
    "XGBoost": xgb,
    "XGBoost, counts": lambda: xgb("count:poisson", np.abs(NUMBERS)),
    "XGBoost, logistic regression": lambda: xgb("reg:logistic", TWO),
    "XGBoost, ranks": lambda: xgb("rank:pairwise", TWO),
    "XGBoost, targets": lambda: xgb(y=np.column_stack([NUMBERS, -NUMBERS])),
    "LightGBM": lgb,
    "LightGBM, counts": lambda: lgb("poisson", np.abs(NUMBERS)),
    "LightGBM, cross-entropy": lambda: lgb("cross_entropy", TWO),
    "LightGBM, own": lambda: lgb(own, TWO),
}


@pytest.mark.parametrize("name", NUMERIC)
def test_everything_else_is_a_number(name):
    booster = NUMERIC[name]()
    expected = answer(booster)
    explainer = explained(booster)
    assert explainer.predictor.space == "value"
    if expected.ndim == 1:
        loaded = reloaded(explainer)
        np.testing.assert_allclose(loaded.predict(ROWS), expected, rtol=1e-5)
        assert loaded.explain_local(ROWS).additivity_gap.max() < 1e-4
    np.testing.assert_allclose(explainer.explain_local(ROWS).outputs,
                               expected.reshape(len(ROWS), -1), atol=1e-5)  # fmt: skip


def test_a_booster_of_several_labels_is_refused():
    with pytest.raises(ParameterError, match="one class for each row"):
        explained(xgb("binary:logistic", (X > 0).astype(int)))


def test_a_booster_takes_frames_by_its_names():
    import pandas as pd
    import xgboost

    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    booster = xgboost.train(QUIET | {"objective": "binary:logistic"},
                            xgboost.DMatrix(frame, TWO), 4)  # fmt: skip
    expected = booster.predict(xgboost.DMatrix(frame))
    found = TabularExplainer(booster, frame[:15]).explain_local(frame)
    np.testing.assert_allclose(found.outputs[:, 1], expected, atol=1e-6)
    bare = xgb("binary:logistic", TWO)
    found = TabularExplainer(bare, frame[:15]).explain_local(frame)
    np.testing.assert_allclose(found.outputs[:, 1], bare.predict(xgboost.DMatrix(X)), atol=1e-6)


def test_transformations_before_a_booster():
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(X)
    booster = lgb("binary", TWO)
    likely = columns(booster.predict(scaler.transform(ROWS)))
    explainer = explained(booster, transformations=scaler)
    agrees(explainer, likely.argmax(axis=1), likely)


# --- Objectives of somebody's own -----------------------------------------------------------------


def logistic(y, score):
    p = 1 / (1 + np.exp(-score))
    return p - y, p * (1 - p)


def many(y, score):
    p = softmax(score.reshape(-1, 3) if score.ndim == 1 else score)
    return p - np.eye(3)[y.astype(int)], p * (1 - p)


@pytest.mark.filterwarnings("ignore:Cannot compute class probabilities")
@pytest.mark.parametrize(("objective", "y"), [(logistic, TWO), (many, THREE)])
@pytest.mark.parametrize("in_pipeline", [False, True])
def test_raw_scores_of_lightgbm_are_numbers(objective, y, in_pipeline):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    lightgbm = pytest.importorskip("lightgbm")
    model = lightgbm.LGBMClassifier(objective=objective, n_estimators=4, verbose=-1)
    model = (make_pipeline(StandardScaler(), model) if in_pipeline else model).fit(X, y)
    explainer = explained(model)
    found = explainer.explain_local(ROWS)
    assert (found.output_space, found.axes[-2:]) == ("value", ("row", "feature"))
    expected = model.predict(ROWS)
    np.testing.assert_allclose(found.outputs, expected.reshape(len(ROWS), -1))
    if objective is logistic:
        agrees(explainer, expected, expected)


@pytest.mark.parametrize(("objective", "y"), [(logistic, TWO), (many, THREE)])
def test_xgboost_squashes_scores_of_any_objective(objective, y):
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBClassifier(objective=objective, n_estimators=4, max_depth=2).fit(X, y)
    agrees(explained(model), model.predict(ROWS), model.predict_proba(ROWS))


# --- The command ----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".json", ".ubj", ".txt"])
def test_a_boosters_own_file_is_distilled(tmp_path, suffix):
    import pandas as pd

    model, data, out = tmp_path / f"m{suffix}", tmp_path / "rows.csv", tmp_path / "out"
    booster = lgb("binary", TWO) if suffix == ".txt" else xgb("binary:logistic", TWO)
    booster.save_model(model)
    pd.DataFrame(X[:40], columns=["a", "b", "c"]).to_csv(data, index=False)
    arguments = ["--model", str(model), "--data", str(data), "--output", str(out)]
    assert run(["distil", *arguments, "--no-progress", "--classes", "no,yes"]) == 0
    loaded = load(out, artifact_sha256(out))
    assert loaded.classes == ("no", "yes")
    frame = pd.DataFrame(ROWS, columns=["a", "b", "c"])
    np.testing.assert_allclose(loaded.explain_local(frame).outputs[:, 1], answer(booster),
                               atol=1e-6)  # fmt: skip


@pytest.mark.parametrize(("suffix", "content"), [
    (".json", json.dumps({"a": 1})), (".json", "no json"), (".txt", "some text"),
])  # fmt: skip
def test_other_files_are_refused_in_one_line(tmp_path, capsys, suffix, content):
    model, data = tmp_path / f"m{suffix}", tmp_path / "rows.csv"
    model.write_text(content)
    data.write_text("a\n1\n")
    arguments = ["--model", str(model), "--data", str(data), "--output", str(tmp_path / "out")]
    assert run(["distil", *arguments]) == 1
    told = capsys.readouterr().err
    assert str(model) in told
    assert len(told.splitlines()) == 1
