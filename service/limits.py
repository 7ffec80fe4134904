"""Bounds on what one request, and all of them together, may take."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

import anyio
from anyio.to_thread import run_sync
from fastapi import Request

from service.errors import BodyTooLarge

__all__ = ["Workers", "read_body"]

P = ParamSpec("P")
T = TypeVar("T")


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Read the body, and stop as soon as it is known to be too large.

    Raises
    ------
    BodyTooLarge
        From the declared length before anything is read, else while it comes in.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > max_bytes):
        raise BodyTooLarge(max_bytes)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise BodyTooLarge(max_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


class Workers:
    """Threads for the heavy work, so that the event loop stays free for everyone else.

    At most `concurrency` of them work at a time, because each may hold an explanation's block.
    """

    def __init__(self, concurrency: int) -> None:
        self._slots = anyio.CapacityLimiter(concurrency)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `work` on a thread and wait for its answer."""
        return await run_sync(partial(work, *args, **kwargs), limiter=self._slots)
