"""Three classes with LightGBM: margins exactly, probabilities from an artifact, and a mimic."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lightgbm import LGBMClassifier
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

from scoring import (
    KernelScoringExplainer,
    LGBMExplainableModel,
    MimicExplainer,
    TabularExplainer,
    load,
    save,
)

CLASSES = ["Barolo", "Grignolino", "Barbera"]


def main():
    """Explain one model in two output spaces and through a surrogate."""
    x, y = load_wine(return_X_y=True, as_frame=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0, stratify=y)
    model = LGBMClassifier(n_estimators=40, verbose=-1, random_state=0).fit(x_train, y_train)
    print(f"accuracy on {len(x_test)} held-out wines: {model.score(x_test, y_test):.0%}")

    margin = TabularExplainer(model, x_train, classes=CLASSES, output_space="margin")
    print(f"\nmargins, by {margin.method}, strongest per class")
    for name, names in zip(
        CLASSES, margin.explain_global(x_test).get_ranked_per_class_names(3), strict=True
    ):
        print(f"  {name:<11} {', '.join(names)}")

    explainer = TabularExplainer(model, x_train, classes=CLASSES, n_background=20)
    scoring_explainer = KernelScoringExplainer(
        explainer, validation=x_test, n_coalitions=400, name="wine"
    )
    with tempfile.TemporaryDirectory() as directory:
        served = load(save(scoring_explainer, Path(directory, "artifact")))
        local = served.explain_local(x_test[:3])
    report = scoring_explainer.report
    print(f"\nprobabilities, by {local.method}: error {report['relative_rms_error']:.1%}")
    for row in range(3):
        k = int(local.outputs[row].argmax())
        names = local.get_ranked_local_names(top_k=3)[k][row]
        print(f"  wine {row}: {CLASSES[k]} {local.outputs[row, k]:.2f}, for its {', '.join(names)}")

    mimic = MimicExplainer(model, x_train, LGBMExplainableModel, classes=CLASSES)
    shares = {name: round(share, 2) for name, share in mimic.fidelity["r2"].items()}
    print(f"\na surrogate's R² per class: {shares}")


if __name__ == "__main__":
    main()
