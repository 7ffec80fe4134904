"""Every example runs as it stands, warns of nothing, and says what it should.

The guide's own statements are held against the ones below: the same but for spaces.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"

SAID = {
    "breast_cancer": None,  # `make demo`, which tests/test_readme.py runs
    "churn": [
        r"accuracy on 1409 held-out customers: 7\d\.\d%",
        r"^contract +0\.0\d+$",
        r"^  exact enumeration; 25 rows weighted by the model's answers for 5634 rows cost \d+%$",
        r"^customer 2: +\d+%  can leave from month to month \(\+0\.\d\d\); ",
        r"add up to the probability within \de-1\d$",
    ],
    "guide_explain": [
        r"^TabularExplainer: kernel kriging, \d+ rows weighted by the model's answers.*\n  worst ",
        r"^What speaks most for benign, and how much\n( +\d+%(: |, )(\D+ [+-]0\.\d{3}){3}\n){5}",
        r"^MimicExplainer: says what the model says of 9\d% of held-out rows\n  worst ",
        r"^PFIExplainer: by f1_score, permutation importance, 5 repeats\n  worst area ",
    ],
    "guide_raw_features": [
        r"^one row: 10 raw features as players, and 26 columns as players",
        r"^ +players +sums of columns\n(\w+( +-?0\.\d{3}){2}\n){10}",
        r"^from the list of tuples.*\n(  \w+, \w+, \w+\n){3}",
    ],
    "guide_scoring_explainer": [
        r"^exact enumeration over 254 coalitions: relative RMS error 0\.0%",
        r"^\[\[\[-?0\.\d+, ",
        r"^(bad |good)  (\w+ [+-]0\.\d\d(, |\n)){4}",
    ],
    "lightgbm_multiclass": [
        r"^accuracy on 45 held-out wines: (9\d|100)%$",
        r"^margins, by exact tree",
        r"^probabilities, by kernel kriging: error [0-4]\.\d%$",
        r"^a surrogate's R² per class: \{('\w+': 0\.[89]\d*(, |\})){3}",
    ],
    "regression": [
        r"Global.*by exact tree; background: all rows \(331\)",
        r"Local.*by exact tree; background: all rows \(331\)",
        r"^(row \d: \d+\.\d \+ values = (\d+\.\d), the model says \2\n){3}",
    ],
}
"""Per example the patterns that its output must show; what is repeated in one must agree."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, said in SAID.items() if said])
def test_an_example_runs_and_says_what_it_should(name):
    run = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    for pattern in SAID[name] or []:
        assert re.search(pattern, run.stdout, re.MULTILINE), run.stdout


def test_every_example_is_run():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(SAID)


GUIDE = {
    "guide_explain": """
breast_cancer_data = load_breast_cancer()
classes = breast_cancer_data.target_names.tolist()
x_train, x_test, y_train, y_test = train_test_split(
    breast_cancer_data.data, breast_cancer_data.target, test_size=0.2, random_state=0)
clf = svm.SVC(gamma=0.001, C=100., probability=True)
model = clf.fit(x_train, y_train)
explainer = TabularExplainer(
    model, x_train, features=breast_cancer_data.feature_names, classes=classes)
explainer = MimicExplainer(
    model, x_train, LGBMExplainableModel, augment_data=True, max_num_of_augmentations=10,
    features=breast_cancer_data.feature_names, classes=classes)
explainer = PFIExplainer(model, features=breast_cancer_data.feature_names, classes=classes)
global_explanation = explainer.explain_global(x_train)
sorted_global_importance_values = global_explanation.get_ranked_global_values()
sorted_global_importance_names = global_explanation.get_ranked_global_names()
dict(zip(sorted_global_importance_names, sorted_global_importance_values))
global_explanation.get_feature_importance_dict()
local_explanation = explainer.explain_local(x_test[0:5])
sorted_local_importance_names = local_explanation.get_ranked_local_names()
sorted_local_importance_values = local_explanation.get_ranked_local_values()
""",
    "guide_raw_features": """
numeric_transformer = Pipeline(steps=[
    ('imputer', SimpleImputer(strategy='median')), ('scaler', StandardScaler())])
categorical_transformer = Pipeline(steps=[
    ('imputer', SimpleImputer(strategy='constant', fill_value='missing')),
    ('onehot', OneHotEncoder(handle_unknown='ignore'))])
preprocessor = ColumnTransformer(transformers=[
    ('num', numeric_transformer, numeric_features),
    ('cat', categorical_transformer, categorical_features)])
clf = Pipeline(steps=[
    ('preprocessor', preprocessor), ('classifier', LogisticRegression(solver='lbfgs'))])
tabular_explainer = TabularExplainer(
    clf.steps[-1][1], initialization_examples=x_train, features=dataset_feature_names,
    classes=dataset_classes, transformations=preprocessor)
numeric_transformations = [([f], Pipeline(steps=[
    ('imputer', SimpleImputer(strategy='median')), ('scaler', StandardScaler())]))
    for f in numerical]
categorical_transformations = [
    ([f], OneHotEncoder(handle_unknown='ignore', sparse=False)) for f in categorical]
transformations = numeric_transformations + categorical_transformations
clf = Pipeline(steps=[
    ('preprocessor', DataFrameMapper(transformations)),
    ('classifier', LogisticRegression(solver='lbfgs'))])
tabular_explainer = TabularExplainer(
    clf.steps[-1][1], initialization_examples=x_train, features=dataset_feature_names,
    classes=dataset_classes, transformations=transformations)
""",
    "guide_scoring_explainer": """
explainer = TabularExplainer(
    model, initialization_examples=x_train, features=dataset_feature_names,
    classes=dataset_classes, transformations=transformations)
scoring_explainer = KernelScoringExplainer(explainer)
OUTPUT_DIR = 'my_directory'
save(scoring_explainer, directory=OUTPUT_DIR, exist_ok=True)
scoring_explainer = load(scoring_explainer_model_path)
preds = scoring_explainer.explain(x_test)
print(preds)
data = pd.read_json(raw_data)
predictions = original_model.predict(data)
local_importance_values = scoring_explainer.explain(data)
return {'predictions': predictions.tolist(), 'local_importance_values': local_importance_values}
""",
}
"""The statements of the guide's blocks; imports, and what is the cloud's own, are left out."""

RENAMED = {"sparse": "sparse_output"}
"""What scikit-learn calls an argument of the guide's today; nothing else may differ."""


@pytest.mark.parametrize("name", GUIDE)
def test_the_guides_statements_stand_unchanged(name):
    tree = ast.parse((EXAMPLES / f"{name}.py").read_text(encoding="utf-8"))
    ours = {ast.dump(node) for node in ast.walk(tree) if isinstance(node, ast.stmt)}
    for wanted in ast.parse(GUIDE[name]).body:
        for word in ast.walk(wanted):
            if isinstance(word, ast.keyword) and word.arg in RENAMED:
                word.arg = RENAMED[word.arg]
        assert ast.dump(wanted) in ours, ast.unparse(wanted)
