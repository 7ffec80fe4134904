"""What HTTP may lead to: the host that was named, at addresses that are looked at before use."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from service.fetch.addresses import check_address
from service.fetch.refused import CannotFetch

__all__ = ["client"]

SECONDS = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)


async def client(**options: Any) -> aiohttp.ClientSession:
    """Make the session that fsspec asks with.

    Proxies are not used: they would look names up where nobody checks the addresses. What is sent
    compressed stays so, because its size when unpacked is anybody's guess.
    """
    redirects = aiohttp.TraceConfig()
    redirects.on_request_redirect.append(_check_redirect)
    connector = aiohttp.TCPConnector(resolver=_Resolver(), use_dns_cache=False)
    return aiohttp.ClientSession(
        connector=connector,
        trace_configs=[redirects],
        timeout=SECONDS,
        auto_decompress=False,
        headers={"Accept-Encoding": "identity"},
        **options,
    )


class _Resolver(AbstractResolver):
    """Looks names up; the address that is checked is the one that is connected to."""

    def __init__(self) -> None:
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for each in found:
            check_address(ip_address(each["host"]))
        return found

    async def close(self) -> None:
        await self._inner.close()


async def _check_redirect(
    _session: aiohttp.ClientSession, _context: object, asked: aiohttp.TraceRequestRedirectParams
) -> None:
    answer = asked.response.headers
    target = asked.url.join(URL(answer.get("Location") or answer.get("URI") or ""))
    if not _is_same_place(asked.url, target):
        raise CannotFetch(
            f"{asked.url.host} sends on to another host or port: name the last one of them."
        )


def _is_same_place(one: URL, other: URL) -> bool:
    """Whether host and port are equal, or HTTPS takes the place of HTTP."""
    if one.host != other.host:
        return False
    upgrades = (one.scheme, one.port, other.scheme, other.port) == ("http", 80, "https", 443)
    return upgrades or (one.scheme, one.port) == (other.scheme, other.port)
