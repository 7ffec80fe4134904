"""Options as the protocols of others carry them: in the query, or as JSON among the parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from service.errors import BadOption
from service.options import KNOWN, Choices, Options, options_of

__all__ = ["options_from", "tensor_options"]

_FOR_TENSORS = ("output_space", "deadline_ms", "baseline")
_OF_SCORE = {*KNOWN} - {*_FOR_TENSORS}


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

    Clients send parameters of many servers (`content_type`, `sequence_id`, `priority`): those that
    are not options of ours are passed over.

    Raises
    ------
    BadOption
        One given twice, one of `/score` only, or another name in the query.
    """
    pairs = [*query]
    wanted = {*_FOR_TENSORS}
    if dict(pairs).keys() - wanted or parameters.keys() & _OF_SCORE:
        names = ", ".join(_FOR_TENSORS)
        raise BadOption(f"The options of infer are {names}; outputs say what is answered.")
    pairs += ((name, value) for name, value in parameters.items() if name in wanted)
    given: dict[str, Any] = dict(pairs)
    if len(given) < len(pairs):
        raise BadOption("The parameters and the query must give each option once.")
    deadline = given.get("deadline_ms")
    try:  # a query has text where the parameters have a number
        number = float(deadline) if isinstance(deadline, str) else deadline
    except ValueError:
        number = deadline
    return {**given, "deadline_ms": number}
