"""A store in Redis, for any number of replicas.

A record is a string that Redis lets expire. A sorted set has the expiry of each of them, and a
hash the sizes, so that the bounds hold for all replicas together; scripts keep them in step. The
clock is that of Redis.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from service.jobs.refusals import StoreDown, StoreFull
from service.jobs.store import Bounds, size_of
from service.jobs.trouble import Trouble

__all__ = ["RedisStore"]

_PREFIX = "{shapserve}:"  # the braces keep everything on one node of a cluster
_EXPIRIES = _PREFIX + "expiries"
_SIZES = _PREFIX + "sizes"  # of each record, and under "total" of all
_SECONDS = 2.0  # for a connection, an answer, or a place among the connections
_CONNECTIONS = 16

_FORGET = """
local expiries, sizes = KEYS[1], KEYS[2]
local function forget(field)
  local size = redis.call('HGET', sizes, field)
  if size then redis.call('HINCRBY', sizes, 'total', -size) end
  redis.call('HDEL', sizes, field)
  redis.call('ZREM', expiries, field)
end
"""

_DELETE = (
    _FORGET
    + """
forget(ARGV[1])
redis.call('DEL', KEYS[3])
"""
)

# Answers 1 when it is done, 0 where there is no record to replace, -1 when the bounds are reached.
_PUT = (
    _FORGET
    + """
local field, ms, size, new = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, expired in ipairs(redis.call('ZRANGEBYSCORE', expiries, '-inf', now)) do forget(expired) end
if not new and redis.call('EXISTS', KEYS[3]) == 0 then return 0 end
local others = redis.call('HGET', sizes, 'total') or 0
others = others - (redis.call('HGET', sizes, field) or 0)
if new and redis.call('ZCARD', expiries) >= tonumber(ARGV[6]) then return -1 end
if others + size > tonumber(ARGV[7]) then return -1 end
redis.call('SET', KEYS[3], ARGV[1], 'PX', ms)
redis.call('ZADD', expiries, string.format('%.0f', now + ms), field)
redis.call('HSET', sizes, field, size, 'total', string.format('%.0f', others + size))
for _, key in ipairs({expiries, sizes}) do
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms) end
end
return 1
"""
)


class RedisStore:
    """Records in the Redis of a URL, such as `redis://:password@host:6379/0` or `rediss://...`."""

    outlives_process = True

    def __init__(self, url: str, bounds: Bounds) -> None:
        self._bounds, self._trouble = bounds, Trouble()
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=_SECONDS,
            socket_timeout=_SECONDS,
            socket_connect_timeout=_SECONDS,
            retry=Retry(NoBackoff(), 1),  # a connection may have ended while nobody used it
        )
        self._redis: Redis = Redis.from_pool(pool)
        self._put_script = self._redis.register_script(_PUT)
        self._delete_script = self._redis.register_script(_DELETE)

    async def create(self, key: str, record: bytes, seconds: float) -> None:
        """Keep a new record."""
        await self._put(key, record, seconds, new=True)

    async def replace(self, key: str, record: bytes, seconds: float) -> bool:
        """Keep another record in place of one."""
        return await self._put(key, record, seconds, new=False)

    async def get(self, key: str) -> bytes | None:
        """Return a record."""
        with self._errors_told():
            record = await self._redis.get(_PREFIX + key)
        return record if isinstance(record, bytes) else None

    async def delete(self, key: str) -> None:
        """Forget a record."""
        with self._errors_told():
            await self._delete_script(keys=[_EXPIRIES, _SIZES, _PREFIX + key], args=[key])

    async def beat(self, worker: str, seconds: float) -> None:
        """Tell that a worker is alive."""
        with self._errors_told():
            await self._redis.set(_worker(worker), b"", px=round(seconds * 1000))

    async def is_alive(self, worker: str) -> bool:
        """Return whether a worker's last beat still counts."""
        with self._errors_told():
            return bool(await self._redis.exists(_worker(worker)))

    async def sweep(self) -> None:
        """Do nothing: Redis does it."""

    async def close(self) -> None:
        """Close the connections."""
        with suppress(StoreDown), self._errors_told():
            await self._redis.aclose()

    async def _put(self, key: str, record: bytes, seconds: float, *, new: bool) -> bool:
        size, ms = size_of(record, self._bounds), round(seconds * 1000)
        args: list[bytes | str | int] = [record, key, ms, size, int(new), *self._bounds]
        with self._errors_told():
            done = await self._put_script(keys=[_EXPIRIES, _SIZES, _PREFIX + key], args=args)
        if done == -1:
            raise StoreFull
        return bool(done)

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        """Say that the store is down; the errors of Redis may quote addresses, so they end here."""
        try:
            yield
        except (RedisError, OSError) as exc:
            self._trouble.tell(exc)
            raise StoreDown from None


def _worker(worker: str) -> str:
    return f"{_PREFIX}worker:{worker}"
