"""A peer in an environment of its own: reads a job, fits the model anew, measures, writes JSON."""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks import models
from benchmarks.timing import Effort, measure


def work(make, library):
    """Run the job that the command line names, with a library's `make`, as in `shap_peers`."""
    with np.load(sys.argv[1]) as file:  # allow_pickle stays off
        job = dict(file)
    space = str(job["space"])
    model = models.fit(str(job["model"]), job["train"], job["labels"])
    f = models.outputs(model, space)
    effort = Effort(tuple(job["sizes"].tolist()), float(job["seconds"]), float(job["climb"]))
    answers = []
    for n in job["backgrounds"]:
        background = job[f"background_{n}"]
        start = time.perf_counter()
        contender = make(f, background)
        seconds = time.perf_counter() - start
        found = measure(contender, job["pool"], job["some"], job[f"truth_{n}"], effort)
        answers.append(found | {"seconds": seconds})
    # How far the two fits of one model are apart, and so how far base values may be.
    apart = float(np.abs(f(job["some"]) - job["outputs"]).max())
    told = {"outputs_apart": apart, "answers": answers, "library": f"{library} {version(library)}"}
    Path(sys.argv[2]).write_text(json.dumps(told), encoding="utf-8")
