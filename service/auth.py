"""Who may ask for what: a key for every path but the probes, as soon as any key is configured."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import AdminOff, Refusal, UnknownKey, WrongRole, refused
from service.keys import KeyRing, Role

__all__ = ["PROBES", "Auth"]

PROBES = frozenset(
    {
        "/",
        "/health",
        "/health/live",
        "/health/ready",
        "/ping",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/version",
    }
)
"""Paths that need no key: those who ask have none, and are told nothing about a model."""


class Auth:
    """ASGI middleware that asks for keys, and leaves the holder's name in `state.caller`.

    Parameters
    ----------
    keys : None where the service is open; administration is off then.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing | None) -> None:
        self.app, self.keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it before its body is read."""
        if scope["type"] == "http":
            try:
                scope["state"]["caller"] = self._caller(scope)
            except Refusal as exc:
                await refused(scope["state"]["request_id"], exc)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _caller(self, scope: Scope) -> str | None:
        path = scope["path"]
        role = _role(path)
        if self.keys is None:
            if role == "admin":
                raise AdminOff
            return None
        if path in PROBES:
            return None
        token = _token(scope)
        key = self.keys.find(token) if token else None
        if key is None:
            raise UnknownKey(given=bool(token))
        if key.role != role:
            raise WrongRole(role)
        return key.name


def _role(path: str) -> Role:
    """The role that a path needs; what is not known yet needs the one that most keys have."""
    if path == "/metrics":
        return "metrics"
    return "admin" if path.startswith("/admin/") else "score"


def _token(scope: Scope) -> bytes:
    """The key that was sent; empty where none was."""
    token = b""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, credentials = value.partition(b" ")
            if scheme.lower() == b"bearer":
                return bytes(credentials.strip())
        elif name == b"x-api-key" and not token:
            token = value.strip()
    return token
