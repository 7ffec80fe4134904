"""Files of the user's own that Python finds in place of ours.

`scoring.py` and `service.py` are names that many people give to a file. Where such a file is in the
current directory or on PYTHONPATH, Python imports it for our package of that name.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

__all__ = ["Shadowed", "check"]

_HOME = Path(__file__).resolve().parents[1]


class Shadowed(ImportError):
    """A file is in the way of one of our packages."""


def check(*packages: str) -> None:
    """Look where Python would import our packages from, without importing them.

    Raises
    ------
    Shadowed
    """
    for package in packages:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            continue  # not installed, which the import says
        origin = Path(spec.origin)
        if origin.resolve() != _HOME / package / "__init__.py":
            in_the_way = origin.parent if origin.name == "__init__.py" else origin
            raise Shadowed(
                f"{in_the_way} is in the way of shapserve's own package '{package}': rename it"
            )
