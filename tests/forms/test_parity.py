"""How a copy of a model is held against its original."""

import numpy as np
import pytest
from sklearn.ensemble import (
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from scoring.forms import edges
from scoring.forms.parity import TOLERANCE, Parity, Scale
from scoring.forms.refused import FormRefused
from tests.forms.altered import Altered
from tests.forms.fitted import VALUES, Y, fitted
from tests.saved import scaled


def parity_of(model, y=None, n_rows=200):
    predictor, background = fitted(model, y)
    held_out = edges.held_out_rows(background, background.table.codes[0], n_rows)
    return predictor, Parity.of(
        predictor.model, [predictor.space], held_out, edges.edge_rows(predictor.schema, background)
    )


def test_a_copy_may_differ_by_the_tolerance_and_no_more():
    predictor, parity = parity_of(LinearRegression(), VALUES)
    spread = np.ptp(parity.asked[0][1].outputs["value"])
    for share, passes in ((0.5 * TOLERANCE, True), (2 * TOLERANCE, False)):
        copy = Altered(predictor.model, lambda o, _, share=share: o + share * spread)
        if passes:
            assert parity.check(copy)["max_error"]["value"] == pytest.approx(share, rel=0.01)
        else:
            with pytest.raises(FormRefused, match="largest error is 2e-05"):
                parity.check(copy)


def test_the_scale_is_the_spread_and_not_the_size():
    outputs = np.array([[1e6], [1e6 + 1]])
    assert Scale.of(outputs, "value").error(outputs, outputs + 1e-3) == pytest.approx(1e-3)
    both = np.array([[0.0, 0.0], [0.5, 1e-9]])
    assert Scale.of(both, "probability").error(both, both + 1e-6) == pytest.approx(2e-6)
    assert Scale.of(both, "value").error(both, both + 1e-6) == pytest.approx(1e3)
    far = np.array([[1e9, 0.0]])
    nearly = np.array([[1e9 + 1, 0.0]])
    assert Scale.of(both, "value").error(far, nearly) == pytest.approx(1e-9)


@pytest.mark.parametrize(
    ("original", "copied", "error"),
    [(np.nan, np.nan, 0), (np.inf, np.inf, 0), (np.nan, 0.0, np.inf), (0.0, np.nan, np.inf),
     (np.inf, -np.inf, np.inf), (1.0, np.inf, np.inf)],
)  # fmt: skip
def test_what_is_not_finite_has_to_be_the_same(original, copied, error):
    scale = Scale.of(np.array([[0.0], [1.0]]), "value")
    assert scale.error(np.array([[original]]), np.array([[copied]])) == error


def test_one_label_is_enough_to_refuse():
    predictor, parity = parity_of(scaled(LogisticRegression()))
    parity.check(predictor.model)
    for y in (Y, Y.astype(float)):
        predictor, parity = parity_of(scaled(LogisticRegression()), y)

        def flip_last(labels, _):
            return np.concatenate([labels[:-1], 1 - labels[-1:]])

        with pytest.raises(FormRefused, match="labels differ"):
            parity.check(Altered(predictor.model, labels=flip_last))


def test_a_copy_that_is_wrong_only_at_an_edge_is_refused():
    predictor, parity = parity_of(HistGradientBoostingRegressor(max_iter=3), VALUES)
    parity.check(predictor.model)

    def forget_gaps(outputs, table):
        return outputs + np.isnan(table.codes[:, :1])

    with pytest.raises(FormRefused):
        parity.check(Altered(predictor.model, forget_gaps))


def test_rows_that_the_model_refuses_are_left_out():
    spline = make_pipeline(SplineTransformer(extrapolation="error"), Ridge())
    predictor, parity = parity_of(spline, VALUES)
    report = parity.check(predictor.model)
    assert report["edge_rows_refused_by_model"] > 0
    assert report["edge_rows"] > 0


def test_a_copy_that_raises_is_refused():
    predictor, parity = parity_of(LinearRegression(), VALUES)

    def fail(*_):
        raise RuntimeError("no kernel for that")

    with pytest.raises(FormRefused, match="no kernel for that"):
        parity.check(Altered(predictor.model, fail))
