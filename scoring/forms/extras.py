"""Which extras of this project bring the libraries that a model's file asks for."""

from __future__ import annotations

from importlib.util import find_spec

from scoring.errors import ArtifactUnsupported
from scoring.forms.refused import first_line

__all__ = ["lacking"]

EXTRAS = {
    **dict.fromkeys(("joblib", "pandas", "scipy", "skops", "sklearn"), "sklearn"),
    "lightgbm": "lightgbm",
    "xgboost": "xgboost",
}
"""By library. The other two bring what `sklearn` has."""


def lacking(file: str, error: ImportError, data: bytes) -> ArtifactUnsupported:
    """Tell all that is to be installed, not only what was missed first.

    Parameters
    ----------
    file : the model's.
    error : what its reading ended in.
    data : its content, which names the modules that it needs.
    """
    missed = (error.name or "").partition(".")[0]
    named = {library for library in EXTRAS if f"{library}.".encode() in data} | {missed}
    absent = {name for name in named & EXTRAS.keys() if name == missed or find_spec(name) is None}
    extras = {EXTRAS[name] for name in absent}
    if len(extras) > 1:
        extras.discard("sklearn")
    if not extras:
        remedy = (
            "Install what the model was saved with (the manifest names the versions); into an "
            "image it comes through requirements/own."
        )
        return ArtifactUnsupported(file, first_line(error), remedy)
    names = sorted(extras)
    remedy = (
        f"Install what the model needs: pip install 'shapserve[{','.join(names)}]', or build the "
        f"image with --build-arg EXTRAS='{' '.join(names)}'."
    )
    return ArtifactUnsupported(file, f"{missed} is not installed", remedy)
