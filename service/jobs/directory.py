"""A store in a directory, for the worker processes of one host.

A file is a record. It is written whole under another name before it gets its own, and the time of
its last change is the time at which it expires, so that a look at the directory tells everything.
Changes are made under one lock, which the kernel takes back from a process that dies. The lock's
file says how much there is, so that the look is needed only now and then: it may say too much until
then, for what has expired, but not too little.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import anyio
from anyio.to_thread import run_sync

from service.jobs.refusals import StoreDown, StoreFull
from service.jobs.store import KEY, LEAST, Bounds, size_of
from service.jobs.trouble import Trouble

__all__ = ["DirectoryStore"]

T = TypeVar("T")

_OPEN = os.O_CLOEXEC | os.O_NOFOLLOW
_ONLY_OURS = 0o600
_LOOK_SECONDS = 10.0  # after which the directory is looked through again
_LOOK_AGAIN_SECONDS = 0.5  # the same, where it is full
_LOCK, _WORKER, _UNFINISHED = "lock", "worker-", ".unfinished"


class DirectoryStore:
    """Records as files of a private directory inside `path`.

    Raises
    ------
    OSError
        The directory cannot be made, is another user's, or is open to others.
    """

    outlives_process = True

    def __init__(self, path: Path, bounds: Bounds) -> None:
        self._folder, self._bounds = _private(path / "explanations"), bounds
        self._trouble = Trouble()
        # Threads of its own: fetching must not wait for explanations.
        self._threads = anyio.CapacityLimiter(2)
        self._look_around()  # what cannot be written to is found before a client comes

    async def create(self, key: str, record: bytes, seconds: float) -> None:
        """Keep a new record."""
        await self._do(self._create, key, record, seconds)

    async def replace(self, key: str, record: bytes, seconds: float) -> bool:
        """Keep another record in place of one."""
        return await self._do(self._replace, key, record, seconds)

    async def get(self, key: str) -> bytes | None:
        """Return a record."""
        return await self._do(self._get, key)

    async def delete(self, key: str) -> None:
        """Forget a record."""
        await self._do(self._delete, key)

    async def beat(self, worker: str, seconds: float) -> None:
        """Tell that a worker is alive."""
        await self._do(self._beat, worker, seconds)

    async def is_alive(self, worker: str) -> bool:
        """Return whether a worker's last beat still counts."""
        return await self._do(self._is_alive, worker)

    async def sweep(self) -> None:
        """Remove what has expired, or was left unfinished by a process that died."""
        await self._do(self._look_around)

    async def close(self) -> None:
        """Do nothing: the files are for the other workers."""

    async def _do(self, work: Callable[..., T], *args: object) -> T:
        try:
            return await run_sync(partial(work, *args), limiter=self._threads)
        except OSError as exc:
            self._trouble.tell(exc)
            raise StoreDown from None

    def _create(self, key: str, record: bytes, seconds: float) -> None:
        path, size = self._path(key), size_of(record, self._bounds)
        with self._locked() as lock:
            self._count(lock, 1, size)
            self._write(path, record, seconds)

    def _replace(self, key: str, record: bytes, seconds: float) -> bool:
        path, size = self._path(key), size_of(record, self._bounds)
        with self._locked() as lock:
            before = _size_in(path)
            if before is None:
                return False
            self._count(lock, 0, size - before)
            self._write(path, record, seconds)
            return True

    def _count(self, lock: int, entries: int, size: int) -> None:
        """Note what is about to be added.

        Raises
        ------
        StoreFull
            Even after a look at what has expired.
        """
        held = _Held.read(lock)
        full = not held.has_room(entries, size, self._bounds)
        age = time.time() - held.looked
        if not 0 <= age < _LOOK_SECONDS or (full and age > _LOOK_AGAIN_SECONDS):
            held = self._look(lock)
            full = not held.has_room(entries, size, self._bounds)
        if full:
            raise StoreFull
        _Held(held.entries + entries, held.size + size, held.looked).write(lock)

    def _write(self, path: Path, record: bytes, seconds: float) -> None:
        unfinished = path.with_suffix(_UNFINISHED)
        fd = os.open(unfinished, _OPEN | os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _ONLY_OURS)
        try:
            with os.fdopen(fd, "wb", closefd=False) as file:
                file.write(record)
            _expire(fd, seconds)
            unfinished.replace(path)
        except OSError:  # such as a full disk
            unfinished.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)

    def _delete(self, key: str) -> None:
        path = self._path(key)
        with self._locked() as lock:  # else a worker that is just writing would bring it back
            before = _size_in(path)
            if before is not None:
                path.unlink()
                held = _Held.read(lock)
                _Held(held.entries - 1, held.size - before, held.looked).write(lock)

    def _get(self, key: str) -> bytes | None:
        try:
            fd = os.open(self._path(key), _OPEN | os.O_RDONLY)
        except FileNotFoundError:
            return None
        with os.fdopen(fd, "rb") as file:
            return file.read() if _lives(os.fstat(fd)) else None

    def _beat(self, worker: str, seconds: float) -> None:
        with self._locked():  # else a sweep may take the file away between the two lines
            fd = os.open(self._folder / _worker(worker), _OPEN | os.O_CREAT, _ONLY_OURS)
            try:
                _expire(fd, seconds)
            finally:
                os.close(fd)

    def _is_alive(self, worker: str) -> bool:
        try:
            return _lives((self._folder / _worker(worker)).lstat())
        except FileNotFoundError:
            return False

    def _path(self, key: str) -> Path:
        if not KEY.fullmatch(key):
            raise ValueError("a key must be a digest")
        return self._folder / key

    def _look_around(self) -> None:
        with self._locked() as lock:
            self._look(lock)

    def _look(self, lock: int) -> _Held:
        """Remove what has expired or was left unfinished, and note what there is."""
        live = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # another process deleted it
                    status = entry.stat(follow_symlinks=False)
                    if KEY.fullmatch(entry.name) and _lives(status):
                        live[entry.name] = max(status.st_size, LEAST)
                    elif entry.name.endswith(_UNFINISHED) or not (
                        entry.name == _LOCK or _lives(status)
                    ):
                        Path(entry.path).unlink()
        held = _Held(len(live), sum(live.values()), time.time())
        held.write(lock)
        return held

    @contextmanager
    def _locked(self) -> Iterator[int]:
        flags = _OPEN | os.O_CREAT | os.O_RDWR
        fd = os.open(self._folder / _LOCK, flags, _ONLY_OURS)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield fd
        finally:
            os.close(fd)  # which lets go of the lock


class _Held(NamedTuple):
    """What the lock's file says of the directory."""

    entries: int
    size: int
    looked: float
    """When the directory was last looked through."""

    @classmethod
    def read(cls, lock: int) -> _Held:
        """Read it; nothing in it means that a look is due."""
        try:
            entries, size, looked = os.pread(lock, 100, 0).split()
            return cls(int(entries), int(size), float(looked))
        except ValueError:
            return cls(0, 0, 0.0)

    def write(self, lock: int) -> None:
        """Write it, as wide as it ever gets."""
        os.pwrite(lock, f"{self.entries:20d} {self.size:20d} {self.looked:20.3f}\n".encode(), 0)

    def has_room(self, entries: int, size: int, bounds: Bounds) -> bool:
        """Whether so much more fits; what makes it no more always does."""
        return (not entries or self.entries + entries <= bounds.entries) and (
            size <= 0 or self.size + size <= bounds.size
        )


def _size_in(path: Path) -> int | None:
    """The bytes that a record counts for; None where there is none any more."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return max(status.st_size, LEAST) if _lives(status) else None


def _private(folder: Path) -> Path:
    """Make a directory that only this user can open, or make sure that it is one."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    if not ours or status.st_mode & 0o077:
        rule = "must be a directory of this user that is closed to others"
        raise PermissionError(errno.EPERM, rule, str(folder))
    return folder


def _worker(worker: str) -> str:
    if not KEY.fullmatch(worker):
        raise ValueError("a worker's name must be a digest")
    return _WORKER + worker


def _expire(fd: int, seconds: float) -> None:
    until = time.time() + seconds
    os.utime(fd, (until, until))


def _lives(status: os.stat_result) -> bool:
    return status.st_mtime > time.time()
