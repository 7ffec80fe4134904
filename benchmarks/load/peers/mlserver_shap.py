"""A small runtime of MLServer's that predicts, and explains with shap."""

from __future__ import annotations

import os
import warnings

import numpy as np
import shap
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse

from benchmarks import models


class Explained(MLModel):  # type: ignore[misc]  # not installed where types are checked
    """One FP64 tensor of rows in; predictions and values out."""

    async def load(self):
        """Fit the model again and make shap's explainer over the same background."""
        with np.load(os.environ["BENCH_JOB"]) as file:
            job = dict(file)
        self.model = models.fit(str(job["model"]), job["train"], job["labels"])
        background = job["background"]
        if str(job["explainer"]) == "tree":
            masker = shap.maskers.Independent(background, max_samples=len(background))
            explainer = shap.TreeExplainer(
                self.model, masker, feature_perturbation="interventional"
            )
            self.explain = lambda rows: explainer.shap_values(rows, check_additivity=False)
        else:
            explainer = shap.KernelExplainer(self.model.predict_proba, background)
            options = {"nsamples": int(job["n_coalitions"]), "l1_reg": False, "silent": True}
            self.explain = lambda rows: explainer.shap_values(rows, **options)
        return True

    async def predict(self, payload):
        """Predict and explain."""
        rows = NumpyCodec.decode_input(payload.inputs[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = np.asarray(self.explain(rows))
        outputs = {"predictions": self.model.predict(rows), "values": values}
        return InferenceResponse(
            model_name=self.name,
            outputs=[NumpyCodec.encode_output(name, each) for name, each in outputs.items()],
        )
