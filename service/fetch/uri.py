"""Where an artifact is: one place, of a few kinds, told without what must stay secret."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from service.fetch.addresses import check_host
from service.fetch.refused import CannotFetch

__all__ = ["SCHEMES", "Uri", "parse"]

SCHEMES = ("file", "s3", "gs", "az", "http", "https")
WEB = ("http", "https")
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Uri:
    """A checked one."""

    parts: SplitResult

    def __str__(self) -> str:
        """How it may be shown: what is after the path of a link is often a signature."""
        return f"{self.scheme}://{self.parts.netloc}{self.parts.path}"

    @property
    def scheme(self) -> str:
        """What kind of place it is."""
        return self.parts.scheme

    @property
    def archive(self) -> str | None:
        """The ending that makes it a packed artifact; None for a directory."""
        path = self.parts.path.lower()
        return next((ending for ending in ARCHIVES if path.endswith(ending)), None)

    @property
    def address(self) -> str:
        """What fsspec opens."""
        if self.scheme == "file":
            return unquote(self.parts.path)
        if self.scheme in WEB:
            return self.parts.geturl()
        return f"{self.parts.netloc}{self.parts.path}"

    def __truediv__(self, name: str) -> Uri:
        """A file of the directory."""
        return Uri(self.parts._replace(path=f"{self.parts.path.rstrip('/')}/{name}"))


def parse(text: str) -> Uri:
    """Check a URI.

    Raises
    ------
    CannotFetch
        It is none that is fetched from; the rule is told, and of the text nothing but its scheme.
    """
    if "::" in text and not _is_in_host(text):
        raise CannotFetch("the URI must be of one place: chained ones ('::') are refused.")
    if any(ord(character) <= ord(" ") or character == "\\" for character in text):
        raise CannotFetch("the URI must have no spaces, control characters or backslashes.")
    try:
        parts = urlsplit(text)
        port_is_sound = parts.port is None or parts.scheme in WEB
    except ValueError:
        raise CannotFetch("the URI is not well formed.") from None
    if parts.scheme not in SCHEMES:
        raise CannotFetch(f"the URI must start with {', '.join(f'{s}://' for s in SCHEMES)}.")
    if "@" in parts.netloc:
        raise CannotFetch(
            "the URI must not hold credentials: give them in the environment, or sign the link."
        )
    if parts.fragment or not port_is_sound or (parts.query and parts.scheme not in WEB):
        raise CannotFetch("the URI must have nothing but a host or bucket, and a path.")
    _check_place(parts)
    return Uri(parts)


def _is_in_host(text: str) -> bool:
    """Whether every '::' is of an IPv6 address in brackets."""
    return re.fullmatch(r"https?://\[[^]/]*\](?!.*::).*", text) is not None


def _check_place(parts: SplitResult) -> None:
    if parts.scheme in WEB:
        if not parts.hostname:
            raise CannotFetch("the URI must name a host.")
        check_host(parts.hostname)
    elif parts.scheme == "file":
        if parts.netloc or not parts.path:
            raise CannotFetch("a file's URI must be file:///PATH.")
    elif not BUCKET.fullmatch(parts.netloc):
        raise CannotFetch(f"the URI must be {parts.scheme}://BUCKET/PATH.")
