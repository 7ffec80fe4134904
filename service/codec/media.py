"""What a body says that it is, and what an answer should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from service.errors import UnsupportedMedia

__all__ = ["ARROW", "CSV", "JSON", "MEDIA_TYPES", "check_media_type", "wants_arrow"]

JSON = "application/json"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
MEDIA_TYPES = (JSON, CSV, ARROW)

_CHARSETS = {"utf-8", "utf8", "us-ascii"}


def check_media_type(headers: Mapping[str, str], accepted: Sequence[str] = (JSON,)) -> str:
    """Return the type of a body, or refuse it before it is read.

    Parameters
    ----------
    accepted : the types that are read here.

    Raises
    ------
    UnsupportedMedia
        Another content type or character set; a CSV without its header.
    """
    given = headers.get("content-type", "")
    return given if given in accepted else _checked(given, accepted)


def _checked(given: str, accepted: Sequence[str]) -> str:
    kind, parameters = _parted(given)
    if kind not in accepted:
        known = " or ".join(accepted)
        raise UnsupportedMedia(f"Send the rows with the header Content-Type: {known}.")
    if kind != ARROW and parameters.get("charset", "utf-8") not in _CHARSETS:
        word = "JSON" if kind == JSON else "CSV"
        raise UnsupportedMedia(f"Send {word} in UTF-8; other character sets are not read.")
    if kind == CSV and parameters.get("header", "present") != "present":
        raise UnsupportedMedia("Send CSV with a header row, which names its columns.")
    return kind


def _parted(text: str) -> tuple[str, dict[str, str]]:
    """A media type and its parameters, in lower case."""
    kind, *parameters = text.split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    found = {name.strip().lower(): value.strip().strip('"').lower() for name, _, value in pairs}
    return kind.strip().lower(), found


def wants_arrow(headers: Mapping[str, str]) -> bool:
    """Whether an answer is asked for as an Arrow stream, and not rather as JSON."""
    accept = headers.get("accept", "")
    if "arrow" not in accept.lower():
        return False
    weights = dict(_weights(accept))
    return weights.get(ARROW, 0.0) > 0 and weights[ARROW] >= weights.get(JSON, 0.0)


def _weights(accept: str) -> Iterator[tuple[str, float]]:
    for part in accept.split(","):
        kind, parameters = _parted(part)
        try:
            yield kind, float(parameters.get("q", "1"))
        except ValueError:
            yield kind, 0.0
