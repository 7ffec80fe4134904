"""Headers that every answer carries, so that browsers make nothing of it that it is not."""

from __future__ import annotations

from collections.abc import MutableSequence

__all__ = ["CSP", "protect"]

CSP = b"content-security-policy"

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),  # answers tell about people
    (b"referrer-policy", b"no-referrer"),
)
_NOTHING = (CSP, b"default-src 'none'; frame-ancestors 'none'")


def protect(headers: MutableSequence[tuple[bytes, bytes]]) -> None:
    """Add them to an answer's own; the pages for people bring a policy that lets them show."""
    for name, _ in headers:
        if name == CSP:
            break
    else:
        headers.append(_NOTHING)
    headers.extend(_ALWAYS)
