"""What can be said in one line of an exception that whoever typed the command can mend."""

from __future__ import annotations

import click

from scoring.errors import RowsError, ShapserveError
from service.fetch.refused import CannotFetch
from service.memory import NotEnoughMemory
from service.processes import CannotServe

__all__ = ["FORESEEN", "told"]

_SHOWN_VIOLATIONS = 5
_OFFLINE = {"joblib", "pandas", "pyarrow", "scipy", "shap", "sklearn", "skl2onnx", "skops", "tqdm"}
"""What a serving installation does without."""

FORESEEN = (click.ClickException, ShapserveError, CannotServe, CannotFetch, NotEnoughMemory,
            ModuleNotFoundError, OSError)  # fmt: skip


def told(exc: Exception) -> str | None:
    """Tell what is wrong; None where it is a bug of ours."""
    match exc:
        case click.ClickException():
            return exc.format_message()
        case RowsError():
            shown = [str(violation) for violation in exc.violations[:_SHOWN_VIOLATIONS]]
            more = exc.total - len(shown)
            shown += [f"and {more} more"] if more > 0 else []
            return "the rows do not fit the schema: " + "; ".join(shown)
        case ShapserveError() | CannotServe() | CannotFetch() | NotEnoughMemory():
            return str(exc)
        case ModuleNotFoundError() if exc.name in _OFFLINE:
            return f"{exc.name} is not installed here: pip install 'shapserve[distil]'"
        case OSError():
            return ": ".join(filter(None, [exc.filename, exc.strerror or str(exc)]))
    return None
