"""Whether the client of a request is still there while its rows wait and are worked on.

Looking costs a task, so it begins only where a request takes longer than most: one that is answered
in the meantime pays for a timer.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from types import TracebackType

from starlette.requests import ClientDisconnect
from starlette.types import Receive

__all__ = ["Attended", "begin"]

LOOK_SECONDS = 0.02

_receive: ContextVar[Receive | None] = ContextVar("receive", default=None)


def begin(receive: Receive) -> None:
    """Note where the server tells that the client of this task's request has left."""
    _receive.set(receive)


class Attended:
    """Gives up what is awaited inside once the client has left, and raises `ClientDisconnect`.

    Only for when the request's body has been read: the server tells of nothing else then.
    """

    __slots__ = ("_left", "_looking", "_receive", "_task", "_timer")

    def __init__(self) -> None:
        self._receive = _receive.get()
        self._left = False
        self._looking: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        self._task, self._timer = asyncio.current_task(), None
        if self._receive is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(LOOK_SECONDS, self._look, loop, self._receive)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()
        if not self._left or kind is not asyncio.CancelledError or self._task is None:
            return
        if self._task.uncancel() == 0:  # else somebody else wants it to end, too
            raise ClientDisconnect from exc

    def _look(self, loop: asyncio.AbstractEventLoop, receive: Receive) -> None:
        self._looking = loop.create_task(self._until_left(receive))

    async def _until_left(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._left = True
        if self._task is not None:
            self._task.cancel()
