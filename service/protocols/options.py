"""Options as the protocols of others carry them: in the query, or as JSON among the parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from service.errors import BadOption
from service.options import Choices, Options, options_of

__all__ = ["options_from", "tensor_options"]

_FOR_TENSORS = ("output_space", "deadline_ms", "baseline")
_TRITONS_OWN = ("priority", "timeout")  # about its queue, which is not ours


def options_from(
    query: Iterable[tuple[str, str]],
    params: Mapping[str, Any],
    choices: Choices,
    *,
    explain: bool,
) -> Options:
    """Read options of both kinds.

    Parameters
    ----------
    query : names and values as they came.
    params : names and JSON values; null is as good as not given.
    choices : what there is to choose from for the model.
    explain : whether to explain where the client does not say.

    Raises
    ------
    BadOption
        As `options_of` does.
    """
    if getattr(params, "repeated", ()):
        raise BadOption("params must not repeat a name.")
    pairs = list(query)
    said = any(name == "explain" for name, _ in pairs) or params.get("explain") is not None
    return options_of(pairs, choices, dict(params) if said else {**params, "explain": explain})


def tensor_options(
    query: Iterable[tuple[str, str]], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options of a request whose `outputs` say what is answered, and in what shape.

    Raises
    ------
    BadOption
        Others than these.
    """
    pairs = [*query, *((n, value) for n, value in parameters.items() if n not in _TRITONS_OWN)]
    given = dict(pairs)
    if len(given) < len(pairs) or given.keys() - {*_FOR_TENSORS}:
        raise BadOption(
            f"The parameters and the query may hold {', '.join(_FOR_TENSORS)} only, each once."
        )
    deadline = given.get("deadline_ms")
    try:  # a query has text where the parameters have a number
        number = float(deadline) if isinstance(deadline, str) else deadline
    except ValueError:
        number = deadline
    return {**given, "deadline_ms": number}
