"""The guide's explainers on breast cancer data: tabular, mimic and permutation, global and local.

Its statements are as they are written there; only the imports are ours.
"""

from __future__ import annotations

import warnings

from sklearn import svm
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from scoring.explainers import (
    LGBMExplainableModel,
    MimicExplainer,
    PFIExplainer,
    TabularExplainer,
)

# scikit-learn 1.9 deprecates `probability`, which it keeps until 1.11.
warnings.filterwarnings("ignore", "The `probability` parameter", FutureWarning)

breast_cancer_data = load_breast_cancer()
classes = breast_cancer_data.target_names.tolist()

# split data into train and test
x_train, x_test, y_train, y_test = train_test_split(breast_cancer_data.data,
                                                    breast_cancer_data.target,
                                                    test_size=0.2,
                                                    random_state=0)
clf = svm.SVC(gamma=0.001, C=100., probability=True)
model = clf.fit(x_train, y_train)


def tell(title, explainer, **labels):
    """The guide's calls on one explainer; what they answer, in short."""
    print(f"\n== {title}")
    # the guide takes x_train; a tenth of it is quicker and says the same
    global_explanation = explainer.explain_global(labels.pop("x", x_train[::10]), **labels)

    sorted_global_importance_values = global_explanation.get_ranked_global_values()
    sorted_global_importance_names = global_explanation.get_ranked_global_names()
    dict(zip(sorted_global_importance_names, sorted_global_importance_values))  # noqa: B905 the guide's

    for name, value in list(global_explanation.get_feature_importance_dict().items())[:3]:
        print(f"{name:<24}{value:8.4f}")
    return global_explanation


# "features" and "classes" fields are optional
explainer = TabularExplainer(model,
                             x_train,
                             features=breast_cancer_data.feature_names,
                             classes=classes)
tell(f"TabularExplainer: {explainer.method}", explainer)

# get explanation for the first data point in the test set
local_explanation = explainer.explain_local(x_test[0:5])

# sorted feature importance values and feature names
sorted_local_importance_names = local_explanation.get_ranked_local_names()
sorted_local_importance_values = local_explanation.get_ranked_local_values()
print(f"first row, {classes[1]}: {sorted_local_importance_names[1][0][:3]}")

explainer = MimicExplainer(model,
                           x_train,
                           LGBMExplainableModel,
                           augment_data=True,
                           max_num_of_augmentations=10,
                           features=breast_cancer_data.feature_names,
                           classes=classes)
tell(f"MimicExplainer: agrees on {explainer.fidelity['agreement']:.0%} of held-out rows", explainer)

explainer = PFIExplainer(model,
                         features=breast_cancer_data.feature_names,
                         classes=classes)
tell("PFIExplainer: what shuffling costs", explainer, x=x_test, true_labels=y_test)
