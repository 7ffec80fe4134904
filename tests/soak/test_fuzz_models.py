"""Odd values that the schema lets through, into real models in each form that an artifact has."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scoring import KernelScoringExplainer, TabularExplainer, artifact_sha256, load, save
from scoring.artifact import read_manifest
from service.scorer import Scorer
from service.settings import Settings
from tests.service.serving import served, unexpected

N_REQUESTS = 1_000

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(1200),
    # Such values overflow in the models' own arithmetic; what counts is the answer.
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]

numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, -0.0, 5e-324, 1e39, -1e39, 1.7e308, -1.7e308, 2**53 + 1]),
)
texts = st.one_of(st.text(max_size=5), st.sampled_from(["", "\0", "north\0", "nan", "a" * 5000]))


def tree_of_numbers():
    from sklearn.datasets import load_iris
    from sklearn.ensemble import HistGradientBoostingClassifier

    x, y = load_iris(return_X_y=True)
    return HistGradientBoostingClassifier(max_iter=5).fit(x, y), x


def forest_of_numbers():
    from sklearn.datasets import load_iris
    from sklearn.ensemble import RandomForestRegressor

    x, _ = load_iris(return_X_y=True)
    return RandomForestRegressor(10, random_state=0).fit(x[:, :3], x[:, 3]), x[:, :3]


def logistic_of_text(mixed):
    """Without the imputer, for which ONNX has no double precision."""
    from sklearn.base import clone
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    x, y, _ = mixed
    x = x[["income", "region"]].assign(income=x["income"].astype("float32"))
    encode = ColumnTransformer(
        [
            ("number", StandardScaler(), ["income"]),
            ("text", OneHotEncoder(handle_unknown="ignore"), ["region"]),
        ]
    )
    return clone(make_pipeline(encode, LogisticRegression())).fit(x, y), x


@pytest.fixture(scope="module", params=["tree", "forest", "text", "mixed"])
def scorer(request, mixed, tmp_path_factory):
    match request.param:
        case "tree":
            model, rows = tree_of_numbers()
        case "forest":
            model, rows = forest_of_numbers()
        case "text":
            model, rows = logistic_of_text(mixed)
        case _:
            rows, _, model = mixed
    directory = tmp_path_factory.mktemp(request.param)
    save(KernelScoringExplainer(TabularExplainer(model, rows[:100])), directory)
    print(request.param, "travels as", read_manifest(directory)["model"]["form"])  # noqa: T201 tells the form under pytest -s
    return Scorer("model", load(directory), artifact_sha256(directory))


def values_of(feature):
    if feature.is_category:
        known = st.sampled_from(feature.categories)
        value = known | texts if feature.allows_unseen else known
    elif feature.kind == "integer":
        value = st.integers(math.ceil(feature.lowest), int(feature.limit))
    elif feature.kind == "boolean":
        value = st.booleans()
    else:
        value = numbers.filter(lambda number: feature.lowest <= number <= feature.limit)
    return value | st.none() if feature.allows_missing else value


def test_whatever_the_schema_accepts_is_answered(scorer):
    row = st.fixed_dictionaries({f.name: values_of(f) for f in scorer.schema.features})
    answered = []
    with served({"model": scorer}, Settings()) as client:

        @settings(
            max_examples=N_REQUESTS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(row, min_size=1, max_size=3))
        def post(rows):
            answer = client.post("/score", json=rows)
            assert answer.status_code == 200, answer.text
            answered.append(len(rows))
            assert np.shape(answer.json()["predictions"])[0] == len(rows)

        post()
        assert unexpected(client) == 0
    assert len(answered) >= N_REQUESTS
