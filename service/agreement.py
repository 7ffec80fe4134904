"""A change that all worker processes make, or none of them.

A worker asks for it; the process that watches them all prepares it and hands every worker a file;
each prepares it too, and says whether it can. Only then is everybody told to make it, or to leave
it, and at last the one that asked is told how it ended. Nobody stops working meanwhile.

::

    worker                  parent
    ASK what            ->
                        <-  PREPARE what, and a file
    CAN | CANNOT reason ->
                        <-  MAKE | LEAVE
    CAN                 ->                              (it is made)
                        <-  MADE | REFUSED reason       (to the one that asked)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any, Protocol

__all__ = ["Agreement", "Change", "Member", "NotMade", "Team"]

ASK, CAN, CANNOT = b"?", b"+", b"-"
_PREPARE, _MAKE, _LEAVE, _MADE, _REFUSED = b"p", b"m", b"l", b"=", b"#"

_UNDER_WAY = "The workers are busy with another model; try again."
_ENDING = "The server is about to end."


class NotMade(Exception):
    """Why a change was not made, for whoever asked for it."""


class Change(Protocol):
    """A change as the parent has prepared it."""

    def fileno(self) -> int:
        """The file that the workers prepare it from."""

    def make(self) -> None:
        """Have it in every worker that is started from now on."""

    def close(self) -> None:
        """Let go of what was needed to prepare it."""


class Member(Protocol):
    """A worker, as the parent sees it."""

    @property
    def line(self) -> Connection:
        """To and from it."""

    @property
    def pid(self) -> int:
        """Its process."""


@dataclass(eq=False)
class _Round:
    what: bytes
    change: Change
    asker: Member | None
    members: list[Member]
    awaited: set[Member] = field(default_factory=set)
    why_not: str = ""
    decided: bool = False


class Agreement:
    """The parent's end: one change at a time.

    Parameters
    ----------
    prepare : from what was asked to a change; raises `NotMade` where it cannot be. The parent does
        nothing else meanwhile, but its workers do.
    """

    def __init__(self, prepare: Callable[[bytes], Change]) -> None:
        self._prepare = prepare
        self._round: _Round | None = None
        self._ended = False

    def take_in(self, member: Member, said: bytes, members: Iterable[Member]) -> None:
        """Take in what a worker says.

        Parameters
        ----------
        members : all workers there are.
        """
        kind, rest = said[:1], said[1:]
        if kind == ASK:
            self._begin(member, rest, list(members))
            return
        if self._round is None or member not in self._round.awaited:
            return
        if kind == CANNOT:
            self._round.why_not = self._round.why_not or rest.decode()
        self._round.awaited.discard(member)
        self._go_on()

    def joined(self, member: Member) -> None:
        """Take in that a worker was started; it is as its parent was."""
        if self._round is not None and not self._round.decided:
            self._round.members.append(member)
            self._hand_over(self._round, member)

    def left(self, member: Member) -> None:
        """Take in that a worker is gone."""
        if self._round is None or member not in self._round.members:
            return
        self._round.members.remove(member)
        self._round.awaited.discard(member)
        if self._round.asker is member:
            self._round.asker = None
        self._go_on()

    def end(self) -> None:
        """Leave what is not decided, and begin nothing: everybody is about to end."""
        self._ended = True
        if self._round is not None:
            self._round.awaited.clear()
            if not self._round.decided:
                self._round.why_not = _ENDING
            self._go_on()
            if self._round is not None:  # it was decided just now, and nobody waits for it
                self._round.awaited.clear()
                self._go_on()

    def _begin(self, asker: Member, what: bytes, members: list[Member]) -> None:
        if self._ended or self._round is not None:
            _say(asker, _REFUSED + (_ENDING if self._ended else _UNDER_WAY).encode())
            return
        try:
            change = self._prepare(what)
        except NotMade as exc:
            _say(asker, _REFUSED + str(exc).encode())
            return
        self._round = _Round(what, change, asker, members)
        for member in members:
            self._hand_over(self._round, member)

    def _hand_over(self, under_way: _Round, member: Member) -> None:
        under_way.awaited.add(member)
        with contextlib.suppress(OSError):  # it is dead, which is taken in soon
            member.line.send_bytes(_PREPARE + under_way.what)
            send_handle(member.line, under_way.change.fileno(), member.pid)

    def _go_on(self) -> None:
        """Decide, or end, when everybody has said what is asked of them."""
        under_way = self._round
        if under_way is None or under_way.awaited:
            return
        if not under_way.decided and not under_way.why_not:
            under_way.decided = True
            under_way.change.make()
            under_way.awaited.update(under_way.members)
            for member in under_way.members:
                _say(member, _MAKE)
            if under_way.awaited:
                return
        self._round = None
        under_way.change.close()
        if not under_way.decided:
            for member in under_way.members:
                _say(member, _LEAVE)
        if under_way.asker is not None:
            why_not = under_way.why_not
            _say(under_way.asker, _REFUSED + why_not.encode() if why_not else _MADE)


def _say(member: Member, what: bytes) -> None:
    with contextlib.suppress(OSError):  # it is dead, which is taken in soon
        member.line.send_bytes(what)


class Team:
    """A worker's end.

    Parameters
    ----------
    line : to and from the parent.
    number : of this worker, from 1; one that takes its place has the same.
    """

    def __init__(self, line: Connection, number: int) -> None:
        self.number = number
        self._line = line
        self._sending = threading.Lock()
        self._one_at_a_time = asyncio.Lock()
        self._answer: asyncio.Future[str] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._prepare: Callable[[bytes, int], Any] = _cannot
        self._make: Callable[[Any], None] = _cannot

    def say(self, what: bytes) -> None:
        """Tell the parent."""
        with self._sending:
            self._line.send_bytes(what)

    def take_part(self, prepare: Callable[[bytes, int], Any], make: Callable[[Any], None]) -> None:
        """Say how a change is prepared, on a thread, and made, in the event loop.

        Parameters
        ----------
        prepare : from what was asked, and a file's descriptor, which is closed afterwards, to what
            `make` gets; raises `NotMade`.
        """
        self._prepare, self._make = prepare, make

    def listen(self) -> None:
        """Take part from now on; called in the event loop."""
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._hear, args=(self._loop,), name="team", daemon=True).start()

    async def ask(self, what: bytes) -> None:
        """Ask for a change, and wait until everybody has made it.

        Raises
        ------
        NotMade
        """
        async with self._one_at_a_time:
            self._answer = asyncio.get_running_loop().create_future()
            try:
                self.say(ASK + what)
            except OSError:
                raise NotMade(_ENDING) from None
            if why_not := await self._answer:
                raise NotMade(why_not)

    def _hear(self, loop: asyncio.AbstractEventLoop) -> None:
        prepared: Any = None
        # Without a parent, or without a loop, this process is about to end.
        try:
            while True:
                said = self._line.recv_bytes()
                kind, rest = said[:1], said[1:]
                if kind == _PREPARE:
                    prepared, why_not = self._prepared(rest, recv_handle(self._line))
                    self.say(CANNOT + why_not.encode() if why_not else CAN)
                elif kind == _MAKE:
                    _in_loop(loop, self._make, prepared)
                    prepared = None
                    self.say(CAN)
                elif kind == _LEAVE:
                    prepared = None
                else:
                    loop.call_soon_threadsafe(self._take_answer, rest.decode())
        except (EOFError, OSError, RuntimeError):
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._take_answer, _ENDING)

    def _prepared(self, what: bytes, fd: int) -> tuple[Any, str]:
        """What was prepared, or why not."""
        try:
            return self._prepare(what, fd), ""
        except NotMade as exc:
            return None, str(exc)
        finally:
            os.close(fd)

    def _take_answer(self, why_not: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(why_not)


def _in_loop(loop: asyncio.AbstractEventLoop, work: Callable[[Any], None], given: Any) -> None:
    """Do something in the event loop, and wait until it is done."""

    async def do() -> None:
        work(given)

    asyncio.run_coroutine_threadsafe(do(), loop).result()


def _cannot(*_: object) -> Any:
    raise NotMade("The server does not take changes.")
