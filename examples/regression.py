"""A regression: what a boosted model of diabetes says, and why, in the target's own units."""

from __future__ import annotations

import tempfile
from pathlib import Path

from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import train_test_split

from scoring import KernelScoringExplainer, PFIExplainer, TabularExplainer, load, save
from scoring.explanation_files import load_explanation, save_explanation


def main():
    """Explain one model in four ways, and keep what came out."""
    x, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
    model = HistGradientBoostingRegressor(max_iter=60, random_state=0).fit(x_train, y_train)
    print(f"R² on {len(x_test)} held-out rows: {model.score(x_test, y_test):.2f}")

    explainer = TabularExplainer(model, x_train)
    overall = explainer.explain_global(x_test)
    print(f"\n{overall}")
    permuted = PFIExplainer(model).explain_global(x_test, y_test)
    table = overall.to_frame()
    table["cost of shuffling"] = permuted.to_frame()["importance"]
    print(table.head(4).round(2).to_string())

    scoring_explainer = KernelScoringExplainer(explainer, validation=x_test)
    with tempfile.TemporaryDirectory() as directory:
        served = load(save(scoring_explainer, Path(directory, "artifact")))
        kept = save_explanation(served.explain_local(x_test[:3]), Path(directory, "explanation"))
        local = load_explanation(kept)
    print(f"\n{local}")
    print(local.to_frame().round(1).to_string())
    for row in range(3):
        told = local.base_values[0] + local.values[row].sum()
        print(f"row {row}: {local.base_values[0]:.1f} + values = {told:.1f}, "
              f"the model says {local.outputs[row, 0]:.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
