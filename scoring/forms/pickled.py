"""A model as a pickle: the last resort, because reading one may run anything.

It is only read when the operator pins the artifact's digest, which vouches for every byte of it.
"""

from __future__ import annotations

import pickle
from typing import Any

from scoring.errors import ArtifactCorrupt
from scoring.forms.extras import lacking
from scoring.forms.refused import FormRefused, first_line

__all__ = ["FILE", "read", "write"]

FILE = "model.pkl"


def write(estimator: Any) -> bytes:
    """Write an estimator.

    Raises
    ------
    FormRefused
        It holds something that cannot be pickled (a lambda, an open file).
    """
    try:
        return pickle.dumps(estimator, protocol=5)
    except Exception as error:
        raise FormRefused(f"it cannot be pickled: {first_line(error)}") from error


def read(data: bytes) -> Any:
    """Read an estimator from an artifact whose digest was pinned.

    Raises
    ------
    ArtifactUnsupported, ArtifactCorrupt
        A library that is not installed, or bytes that are no pickle of this version.
    """
    try:
        return pickle.loads(data)  # noqa: S301 the operator pinned its digest
    except ImportError as error:
        raise lacking(FILE, error, data) from error
    except Exception as error:
        remedy = "Save the explainer again with the libraries that are installed here."
        raise ArtifactCorrupt(FILE, f"it cannot be read: {first_line(error)}", remedy) from error
