"""The guide's explainers on breast cancer data: tabular, mimic and permutation, global and local.

Its statements are as they are written there; only the import lines are ours. One line it has as a
comment only, that for permutation importance, and there rows and labels are not of the same
people; here both are the test set's.
"""

from __future__ import annotations

import warnings

from sklearn import svm
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from scoring import LGBMExplainableModel, MimicExplainer, PFIExplainer, TabularExplainer

# scikit-learn 1.9 deprecates `probability`, which it keeps until 1.11.
warnings.filterwarnings("ignore", "The `probability` parameter", FutureWarning)

breast_cancer_data = load_breast_cancer()
classes = breast_cancer_data.target_names.tolist()

x_train, x_test, y_train, y_test = train_test_split(breast_cancer_data.data,
                                                    breast_cancer_data.target,
                                                    test_size=0.2,
                                                    random_state=0)
clf = svm.SVC(gamma=0.001, C=100., probability=True)
model = clf.fit(x_train, y_train)


def tell(title, global_explanation):
    """What the guide asks a global explanation, and the first five of the answer."""
    sorted_global_importance_values = global_explanation.get_ranked_global_values()
    sorted_global_importance_names = global_explanation.get_ranked_global_names()
    dict(zip(sorted_global_importance_names, sorted_global_importance_values))  # noqa: B905 the guide's

    global_explanation.get_feature_importance_dict()

    print(f"\n{title}")
    for name, value in global_explanation.get_feature_importance_dict(top_k=5).items():
        print(f"  {name:<24}{value:7.4f}")


# Shapley values: against a background, by whatever method suits the model.
explainer = TabularExplainer(model,
                             x_train,
                             features=breast_cancer_data.feature_names,
                             classes=classes)
global_explanation = explainer.explain_global(x_train)
tell(f"TabularExplainer: {explainer.method}, {explainer.background}", global_explanation)

local_explanation = explainer.explain_local(x_test[0:5])

sorted_local_importance_names = local_explanation.get_ranked_local_names()
sorted_local_importance_values = local_explanation.get_ranked_local_values()

print(f"\nWhat speaks most for {classes[1]}, and how much")
for row in range(5):
    strongest = zip(sorted_local_importance_names[1][row][:3],
                    sorted_local_importance_values[1][row][:3], strict=True)
    told = ", ".join(f"{name} {value:+.3f}" for name, value in strongest)
    print(f"  {local_explanation.outputs[row, 1]:4.0%}: {told}")

# A surrogate that is explained exactly, and how well it stands for the model.
explainer = MimicExplainer(model,
                           x_train,
                           LGBMExplainableModel,
                           augment_data=True,
                           max_num_of_augmentations=10,
                           features=breast_cancer_data.feature_names,
                           classes=classes)
global_explanation = explainer.explain_global(x_train)
agreement = explainer.fidelity["agreement"]
tell(f"MimicExplainer: says what the model says of {agreement:.0%} of held-out rows",
     global_explanation)

# What shuffling a feature costs; the truth is needed, single rows cannot be explained.
explainer = PFIExplainer(model,
                         features=breast_cancer_data.feature_names,
                         classes=classes)
global_explanation = explainer.explain_global(x_test, true_labels=y_test)  # type: ignore[call-arg]  # one name for three kinds
tell(f"PFIExplainer: by {global_explanation.output_space}, {global_explanation.method}",
     global_explanation)
