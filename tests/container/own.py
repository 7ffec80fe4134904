"""What a user builds in: a library of the guide's environment file, and a module of one's own."""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
import zipfile

import pandas as pd

from scoring import KernelScoringExplainer, TabularExplainer, save
from tests.container.engine import ROOT
from tests.saved import in_a_file, rows

# sklearn-pandas 2.2.0 imports a name that scikit-learn has dropped; a module of the user's own is
# where that is mended.
MODULE = """
import sklearn.utils
sklearn.utils.tosequence = list
from sklearn_pandas import DataFrameMapper

class Mapper(DataFrameMapper):
    pass
"""
WHEEL = "zq_own-1.0-py3-none-any.whl"
LOCKED = ("six", "sklearn-pandas")


def add_to(context):
    """Put requirements and a wheel where the image's build looks for them."""
    directory = context / "requirements" / "own"
    directory.mkdir()
    wheel = directory / WHEEL
    with zipfile.ZipFile(wheel, "w") as archive:
        info = "zq_own-1.0.dist-info"
        archive.writestr("zq_own.py", MODULE)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: zq-own\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "zq_own.py,,\n")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock = (ROOT / "requirements" / "dev.lock").read_text()
    found = [re.search(rf"^{name}==.*\n(    --hash.*\n)+", lock, re.MULTILINE) for name in LOCKED]
    locked = [match[0] for match in found if match]
    assert len(locked) == len(LOCKED)
    own = f"./requirements/own/{WHEEL} --hash=sha256:{digest}\n"
    (directory / "requirements.txt").write_text("".join(locked) + own)


def mapped(directory, modules):
    """An artifact of a pipeline with the user's own transformer, which only a pickle can hold."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    (modules / "zq_own.py").write_text(MODULE)
    sys.path.insert(0, str(modules))
    try:
        own = importlib.import_module("zq_own")
    finally:
        sys.path.remove(str(modules))
    x, y = rows()
    frame = pd.DataFrame(x, columns=list("abcd"))
    mapper = own.Mapper([([name], StandardScaler()) for name in frame])
    model = Pipeline([("mapped", mapper), ("model", LogisticRegression())]).fit(frame, y)
    full = TabularExplainer(model, frame[:30], method="kernel")
    return save(in_a_file(KernelScoringExplainer(full)), directory)
