"""API keys: their digests, from a file or the environment, read again when the file changes.

A key is 256 random bits, and only its SHA-256 is kept. A slow hash is for passwords, which can be
guessed; nobody guesses 256 bits, and every request would pay for it.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

__all__ = ["ROLES", "Key", "KeyRing", "KeysError", "Role", "new_key", "parse_keys", "read_keys"]

Role = Literal["score", "metrics", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)

_LINE = re.compile(r"([A-Za-z0-9._-]{1,64}):(score|metrics|admin):([0-9A-Fa-f]{64})")
_LARGEST = 2**20  # bytes of a file of keys
_SECONDS_BETWEEN_LOOKS = 1.0

logger = logging.getLogger("shapserve")


class KeysError(ValueError):
    """Keys that cannot be used. The message holds none of them, and no digest."""


@dataclass(frozen=True)
class Key:
    """A key as it is kept.

    Parameters
    ----------
    name : of whoever holds it; several keys may have one name while they are exchanged.
    role : what it opens, and nothing else.
    digest : SHA-256 of the key, 32 bytes.
    """

    name: str
    role: Role
    digest: bytes


def new_key(name: str, role: Role) -> tuple[str, str]:
    """Make a key.

    Returns
    -------
    The key, which is kept nowhere, and the line by which a server knows it.
    """
    key = f"ss_{secrets.token_urlsafe(32)}"
    return key, f"{name}:{role}:{hashlib.sha256(key.encode()).hexdigest()}"


def parse_keys(lines: Iterable[str]) -> tuple[Key, ...]:
    """Read lines of `name:role:sha256hex`; empty ones and those that begin with # are passed over.

    Raises
    ------
    KeysError
        A line is of another form, a digest is there twice, or there is no key at all.
    """
    keys: list[Key] = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            rule = f"must be name:role:sha256hex, with a role of {', '.join(ROLES)}"
            raise KeysError(f"line {number} {rule}; `shapserve key` makes one")
        name, role, digest = match.groups()
        [known] = [each for each in ROLES if each == role]
        keys.append(Key(name, known, bytes.fromhex(digest)))
    if len({key.digest for key in keys}) < len(keys):
        raise KeysError("a key must not be there twice")
    if not keys:
        raise KeysError("there is no key in it; `shapserve key` makes one")
    return tuple(keys)


def read_keys(file: Path) -> tuple[Key, ...]:
    """Read a file of keys.

    Raises
    ------
    KeysError
        It cannot be read, or holds something else.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise KeysError(f"it has more than {_LARGEST} bytes")
        return parse_keys(content.decode("utf-8").split("\n"))
    except UnicodeDecodeError:
        raise KeysError("it is not UTF-8") from None
    except OSError as exc:
        raise KeysError(f"it cannot be read: {exc.strerror}") from None


class KeyRing:
    """The keys that are valid now.

    Parameters
    ----------
    lines : of `name:role:sha256hex`, which stay as long as the process does.
    file : more of them. It is looked at once a second at most, when a key is asked for; one that
        is broken or gone is told in the log, and the keys that it had go on being valid.

    Raises
    ------
    KeysError
        Either cannot be used.
    """

    def __init__(self, lines: Iterable[str] = (), file: Path | None = None) -> None:
        given = list(lines)
        self._fixed = parse_keys(given) if given else ()
        self._file, self._stamp, self._problem = file, _stamp(file), ""
        self._keys = self._fixed + (read_keys(file) if file else ())
        self._next_look = time.monotonic() + _SECONDS_BETWEEN_LOOKS

    def find(self, key: bytes) -> Key | None:
        """Return what is known of a key, in a time that tells nothing of those that are kept."""
        self._look()
        digest, found = hashlib.sha256(key).digest(), None
        for each in self._keys:  # all of them, always
            if hmac.compare_digest(each.digest, digest):
                found = each
        return found

    def _look(self) -> None:
        now = time.monotonic()
        if self._file is None or now < self._next_look:
            return
        self._next_look = now + _SECONDS_BETWEEN_LOOKS
        stamp = _stamp(self._file)
        if stamp == self._stamp:
            self._problem = ""
            return
        try:
            keys = read_keys(self._file)
        except KeysError as exc:
            if str(exc) != self._problem:
                self._problem = str(exc)
                logger.warning("the API keys stay as they are; of their file: %s", exc)
            return
        self._stamp, self._problem = stamp, ""
        self._keys = self._fixed + keys
        logger.info("API keys were read again; there are %d now", len(self._keys))


def _stamp(file: Path | None) -> tuple[int, ...] | None:
    """What changes when a file does, also behind a link, as Kubernetes exchanges secrets."""
    if file is None:
        return None
    try:
        told = file.stat()
    except OSError:
        return None
    return told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns
