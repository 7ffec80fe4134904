"""Several processes that serve one socket: started, watched, replaced and ended together.

The process that was started loads what can be shared, and forks; it serves nobody itself. All
workers accept from the one listening socket, so a connection that nobody has accepted yet outlives
the worker that dies. Memory that nobody writes to stays shared: a worker takes what it writes.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess

from service.agreement import ASK, CAN, CANNOT, Agreement, Change, NotMade, Team

__all__ = ["CannotServe", "Ready", "Supervisor"]

Ready = Callable[[], None]

_STOPS = (signal.SIGTERM, signal.SIGINT)
_READY, _FAILED = b"r", b"f"  # a worker accepts, or says why it cannot

_FAILED_STARTS = 5  # in a row, before the whole gives up
_REMEMBERED_SECONDS = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0

logger = logging.getLogger("shapserve")


class CannotServe(Exception):
    """Why there is nobody to serve, in one line for who started it."""


@dataclass(frozen=True, eq=False)
class _Worker:
    number: int
    process: ForkProcess
    line: Connection
    """To and from it; it says nothing more when it ends, however it ends."""

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid or 0


class Supervisor:
    """Keeps `n` workers at work until SIGTERM or SIGINT.

    Parameters
    ----------
    work : serves in a process of its own until SIGTERM, and calls its first argument once it
        accepts connections; the second is for changes that all workers make together. Raises
        `CannotServe` with the reason if it cannot.
    on_ready : called here, once all workers accept.
    listener : the socket that they accept from. It is closed here when the end begins, so that who
        connects after the last worker has stopped accepting is refused instead of left waiting.
    grace_seconds : how long workers have to finish after SIGTERM; then they are killed.
    on_death : called here with the process id of a worker that died and is replaced.
    prepare : prepares here what a worker asks of all; see `service.agreement`.
    """

    def __init__(
        self,
        n: int,
        work: Callable[[Ready, Team], None],
        *,
        on_ready: Ready,
        listener: socket.socket,
        grace_seconds: float,
        on_death: Callable[[int], None] = lambda _: None,
        prepare: Callable[[bytes], Change] | None = None,
    ) -> None:
        self._n, self._work, self._on_ready = n, work, on_ready
        self._listener, self._grace_seconds = listener, grace_seconds
        self._on_death = on_death
        self._agreement = Agreement(prepare or _no_changes)
        self._workers: dict[int, _Worker] = {}
        self._due = dict.fromkeys(range(1, n + 1), 0.0)  # when to start who is missing
        self._ready: set[int] = set()
        self._all_were_ready = False
        self._failed_starts = 0
        self._pauses = _Pauses()
        self._lifeline = (-1, -1)

    def run(self) -> None:
        """Start the workers and keep them.

        Raises
        ------
        CannotServe
            A worker cannot start, or did not end in time.
        """
        with _pipe() as self._lifeline, _signals() as signals:
            try:
                while not _came(signals, self._step(signals)):
                    pass
            finally:
                n_late = self._end(signals)
        if n_late:
            busy = f"were still busy after {self._grace_seconds:g} s and were killed"
            raise CannotServe(f"{n_late} of {self._n} workers {busy}")

    def _step(self, signals: socket.socket) -> Sequence[object]:
        """Start who is missing, and take in what happens next."""
        now = time.monotonic()
        for number in [number for number, due in self._due.items() if due <= now]:
            del self._due[number]
            self._start(number)
        timeout = max(0.0, min(self._due.values()) - now) if self._due else None
        happened = wait([signals, *self._pipes()], timeout)
        self._take_in(happened)
        return happened

    def _pipes(self) -> list[Connection]:
        return [worker.line for worker in self._workers.values()]

    def _take_in(self, happened: Sequence[object]) -> None:
        for worker in [w for w in self._workers.values() if w.line in happened]:
            try:
                said = worker.line.recv_bytes()
            except (EOFError, OSError):
                self._replace(worker, why="")
                continue
            if said == _READY:
                self._is_ready(worker)
            elif said[:1] in {ASK, CAN, CANNOT}:
                self._agreement.take_in(worker, said, self._workers.values())
            else:
                self._replace(worker, said[1:].decode())

    def _start(self, number: int) -> None:
        _freeze()
        ours, its = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        process = context.Process(
            target=self._be_worker, args=(its, number), name=f"worker-{number}"
        )
        with _held_back():  # until the worker has its own handlers, or the signal would be lost
            process.start()
        its.close()
        self._workers[number] = worker = _Worker(number, process, ours)
        self._agreement.joined(worker)

    def _be_worker(self, line: Connection, number: int) -> None:
        """Serve, in the new process."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        # Ctrl-C reaches every process of a terminal; the parent passes it on, once, as SIGTERM.
        signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGINT})
        end, ours = self._lifeline
        os.close(ours)
        for other in self._workers.values():
            other.line.close()
        threading.Thread(target=_end_as_orphan, args=(end,), daemon=True).start()
        team = Team(line, number)
        try:
            self._work(lambda: team.say(_READY), team)
        except CannotServe as exc:
            team.say(_FAILED + str(exc).encode())
            sys.exit(1)

    def _is_ready(self, worker: _Worker) -> None:
        self._ready.add(worker.number)
        self._failed_starts = 0
        if len(self._ready) == self._n and not self._all_were_ready:
            self._all_were_ready = True
            self._on_ready()

    def _replace(self, worker: _Worker, why: str) -> None:
        """Plan another worker in the place of one that died."""
        self._forget(worker)
        self._agreement.left(worker)
        self._on_death(worker.pid)
        how = _how(worker.process.exitcode)
        if worker.number not in self._ready:
            self._failed_starts += 1
            if not self._all_were_ready or self._failed_starts == _FAILED_STARTS:
                raise CannotServe(why or f"a worker {how} before it was ready")
        self._ready.discard(worker.number)
        pause = self._pauses.after_death(time.monotonic())
        self._due[worker.number] = time.monotonic() + pause
        logger.error(
            "worker %d (process %d) %s; another takes its place in %.1f s",
            worker.number,
            worker.pid,
            why or how,
            pause,
        )

    def _end(self, signals: socket.socket) -> int:
        """Pass SIGTERM on and wait, but not for ever; how many had to be killed."""
        self._listener.close()
        self._agreement.end()
        for worker in self._workers.values():
            worker.process.terminate()
        deadline = time.monotonic() + self._grace_seconds
        while self._workers and (left := deadline - time.monotonic()) > 0:
            happened = wait([signals, *self._pipes()], left)
            if signal.SIGINT in _came(signals, happened):
                break
            for worker in list(self._workers.values()):
                if worker.line not in happened:
                    continue
                try:
                    said = worker.line.recv_bytes()
                except (EOFError, OSError):
                    self._forget(worker)
                    continue
                if said[:1] == ASK:
                    self._agreement.take_in(worker, said, ())
        late = list(self._workers.values())
        for worker in late:
            worker.process.kill()
            self._forget(worker)
        return len(late)

    def _forget(self, worker: _Worker) -> None:
        worker.process.join()
        worker.line.close()
        del self._workers[worker.number]


class _Pauses:
    """How long to wait before another start: not at all after one death, longer after many."""

    def __init__(self) -> None:
        self._deaths: deque[float] = deque()

    def after_death(self, now: float) -> float:
        while self._deaths and self._deaths[0] < now - _REMEMBERED_SECONDS:
            self._deaths.popleft()
        earlier = len(self._deaths)
        self._deaths.append(now)
        return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (earlier - 1)) if earlier else 0.0


def _freeze() -> None:
    """Let no collection in a worker write to what is shared with it."""
    gc.collect()
    gc.freeze()


def _no_changes(_: bytes) -> Change:
    raise NotMade("The workers take no changes.")


def _how(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"was ended by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"


def _end_as_orphan(lifeline: int) -> None:
    """Wait for the end of the parent, of which nobody else tells; then finish as on SIGTERM."""
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """A socket on which the signals arrive that mean the end."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with ours, theirs:
        before = {number: signal.signal(number, _arrives_on_the_socket) for number in _STOPS}
        fd = signal.set_wakeup_fd(theirs.fileno())
        try:
            yield ours
        finally:
            signal.set_wakeup_fd(fd)
            for number, handler in before.items():
                signal.signal(number, handler)


def _arrives_on_the_socket(*_: object) -> None:
    """Do nothing: Python writes the signal's number to the wakeup descriptor by itself."""


def _came(signals: socket.socket, happened: Sequence[object]) -> bytes:
    """The numbers of the signals that came."""
    return signals.recv(64) if signals in happened else b""


@contextmanager
def _held_back() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
