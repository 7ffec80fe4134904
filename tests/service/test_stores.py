"""The stores of later explanations: one contract, three of them."""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import time

import pytest

from service.jobs import open_store
from service.jobs.directory import DirectoryStore
from service.jobs.redis_store import RedisStore
from service.jobs.refusals import AnswerTooLarge, StoreDown, StoreFull
from service.jobs.store import Bounds
from service.settings import Settings
from tests.service.redis_server import free_port, redis_server

KEYS = [f"{i:064x}" for i in range(40)]
KIB = 1024


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(params=["memory", "dir", "redis"])
def opened(request, tmp_path):
    """Open the store of one kind, with some bounds; calling it again opens the same one."""
    setting = request.param
    if setting == "dir":
        setting = f"dir:{tmp_path}"
    elif setting == "redis":
        setting = request.getfixturevalue("redis_url")
        asyncio.run(_flush(setting))

    def open_one(entries=1000, size=2**20):
        settings = Settings(
            results_store=setting, results_max_entries=entries, results_max_bytes=size
        )
        return open_store(settings)

    return open_one


async def _flush(url):
    from redis.asyncio import Redis

    async with Redis.from_url(url) as redis:
        await redis.flushall()


def run(scenario):
    """Run a coroutine under a timeout."""
    return asyncio.run(asyncio.wait_for(scenario, 60))


def test_a_record_is_kept_replaced_and_forgotten(opened):
    async def scenario():
        store, key = opened(), KEYS[0]
        record = b'{"a": 1}\n' + bytes(range(256)) * 10
        assert await store.get(key) is None
        await store.create(key, b"first", 60)
        assert await store.get(key) == b"first"
        assert await store.replace(key, record, 60)
        assert await store.get(key) == record
        assert await store.get(KEYS[1]) is None
        await store.delete(key)
        assert await store.get(key) is None
        assert not await store.replace(key, record, 60), "a forgotten record must not come back"
        assert await store.get(key) is None
        await store.delete(key)
        await store.close()

    run(scenario())


def test_a_record_expires_and_makes_room(opened):
    async def scenario():
        store = opened(entries=1)
        await store.create(KEYS[0], b"short", 1)
        with pytest.raises(StoreFull):
            await store.create(KEYS[1], b"no room yet", 60)
        await asyncio.sleep(1.2)
        assert await store.get(KEYS[0]) is None
        assert not await store.replace(KEYS[0], b"too late", 60)
        await store.create(KEYS[1], b"room", 1)
        assert await store.replace(KEYS[1], b"renewed", 60)
        await asyncio.sleep(1.2)
        assert await store.get(KEYS[1]) == b"renewed"
        await store.close()

    run(scenario())


def test_the_number_of_records_is_bounded(opened):
    async def scenario():
        store = opened(entries=3)
        for key in KEYS[:3]:
            await store.create(key, b"x", 60)
        with pytest.raises(StoreFull):
            await store.create(KEYS[3], b"x", 60)
        assert await store.replace(KEYS[0], b"y", 60), "what is in has its place"
        await store.delete(KEYS[0])
        await store.create(KEYS[3], b"x", 60)
        await store.close()

    run(scenario())


def test_the_bytes_are_bounded(opened):
    async def scenario():
        store = opened(size=10 * KIB)
        await store.create(KEYS[0], b"x" * 6 * KIB, 60)
        await store.create(KEYS[1], b"note", 60)
        with pytest.raises(StoreFull):
            await store.create(KEYS[2], b"x" * 4 * KIB, 60)
        with pytest.raises(StoreFull):
            await store.replace(KEYS[1], b"x" * 5 * KIB, 60)
        assert await store.get(KEYS[1]) == b"note"
        assert await store.replace(KEYS[1], b"a refusal" * 20, 60), "a refusal always fits"
        assert await store.replace(KEYS[0], b"x" * 9 * KIB, 60), "its own bytes are given back"
        with pytest.raises(AnswerTooLarge):
            await store.replace(KEYS[0], b"x" * 11 * KIB, 60)
        await store.delete(KEYS[0])
        await store.create(KEYS[2], b"x" * 9 * KIB, 60)
        await store.close()

    run(scenario())


def test_two_that_write_at_once_keep_to_the_bounds(opened):
    async def scenario():
        stores = [opened(entries=5)] if _is_memory(opened) else [opened(entries=5) for _ in "ab"]
        tries = [
            store.create(key, b"x", 60)
            for store, keys in zip(stores, (KEYS[:20], KEYS[20:]), strict=False)
            for key in keys
        ]
        done = await asyncio.gather(*tries, return_exceptions=True)
        assert done.count(None) == 5
        assert all(isinstance(failed, StoreFull) for failed in done if failed is not None)
        for store in stores:
            await store.close()

    run(scenario())


def _is_memory(opened):
    return not opened().outlives_process


def test_a_worker_is_alive_for_as_long_as_it_says(opened):
    async def scenario():
        store, worker = opened(entries=1), KEYS[0]
        if not store.outlives_process:
            assert await store.is_alive(worker)
            return
        assert not await store.is_alive(worker)
        await store.beat(worker, 1)
        assert await store.is_alive(worker)
        await store.create(KEYS[1], b"workers take no places", 60)
        await asyncio.sleep(1.2)
        assert not await store.is_alive(worker)
        await store.beat(worker, 60)
        assert await store.is_alive(worker)
        await store.close()

    run(scenario())


class TestDirectory:
    BOUNDS = Bounds(1000, 2**20)

    def test_only_its_user_can_read_it(self, tmp_path):
        before = os.umask(0)
        try:
            run(DirectoryStore(tmp_path, self.BOUNDS).create(KEYS[0], b"x", 60))
            run(DirectoryStore(tmp_path, self.BOUNDS).beat(KEYS[1], 60))
        finally:
            os.umask(before)
        folder = tmp_path / "explanations"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        files = list(folder.iterdir())
        assert len(files) == 3
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}

    @pytest.mark.parametrize("mode", [0o701, 0o750, 0o777])
    def test_a_directory_that_is_open_to_others_is_refused(self, tmp_path, mode):
        (tmp_path / "explanations").mkdir()
        (tmp_path / "explanations").chmod(mode)
        with pytest.raises(PermissionError, match="closed to others"):
            DirectoryStore(tmp_path, self.BOUNDS)

    def test_a_link_in_its_place_is_refused(self, tmp_path):
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        (tmp_path / "explanations").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(PermissionError, match="closed to others"):
            DirectoryStore(tmp_path, self.BOUNDS)

    @pytest.mark.parametrize("key", ["../../etc/passwd", "lock", "", "A" * 64, KEYS[0] + "/x"])
    def test_a_key_that_is_no_digest_touches_no_path(self, tmp_path, key):
        store = DirectoryStore(tmp_path, self.BOUNDS)
        for touch in (store.get(key), store.delete(key), store.create(key, b"x", 60)):
            with pytest.raises(ValueError, match="digest"):
                run(touch)
        with pytest.raises(ValueError, match="digest"):
            run(store.beat(key, 60))
        assert [path.name for path in (tmp_path / "explanations").iterdir()] == ["lock"]

    def test_a_link_under_a_key_is_not_followed(self, tmp_path):
        store = DirectoryStore(tmp_path, self.BOUNDS)
        (tmp_path / "secret").write_text("secret")
        os.utime(tmp_path / "secret", (time.time() + 60,) * 2)
        (tmp_path / "explanations" / KEYS[0]).symlink_to(tmp_path / "secret")
        with pytest.raises(StoreDown):
            run(store.get(KEYS[0]))

    def test_what_expired_or_was_left_unfinished_is_swept(self, tmp_path):
        folder = tmp_path / "explanations"
        store = DirectoryStore(tmp_path, self.BOUNDS)
        run(store.create(KEYS[0], b"x", 0.2))
        run(store.beat(KEYS[1], 0.2))
        (folder / f"{KEYS[2]}.unfinished").write_bytes(b"half an ans")
        run(store.create(KEYS[3], b"x", 60))
        time.sleep(0.4)
        run(store.sweep())
        assert {path.name for path in folder.iterdir()} == {"lock", KEYS[3]}

    def test_it_looks_again_where_it_is_full(self, tmp_path):
        store = DirectoryStore(tmp_path, Bounds(2, 2**20))
        for key in KEYS[:2]:
            run(store.create(key, b"x", 0.2))
        time.sleep(1)
        run(store.create(KEYS[2], b"x", 60))

    def test_what_the_lock_says_is_put_right(self, tmp_path):
        store = DirectoryStore(tmp_path, Bounds(2, 2**20))
        lock = tmp_path / "explanations" / "lock"
        for told in ("", "99 99999 0.0", f"0 0 {time.time() + 9999}", "-7 -7 x", "\0" * 90):
            lock.write_text(told)
            run(store.create(KEYS[0], b"x", 60))
            run(store.create(KEYS[1], b"x", 60))
            with pytest.raises(StoreFull):
                run(store.create(KEYS[2], b"x", 60))
            run(store.delete(KEYS[0]))
            run(store.delete(KEYS[1]))

    def test_a_disk_that_takes_nothing_is_told(self, tmp_path):
        store = DirectoryStore(tmp_path, self.BOUNDS)
        (tmp_path / "explanations" / "lock").unlink()
        (tmp_path / "explanations").rmdir()
        for touch in (store.create(KEYS[0], b"x", 60), store.beat(KEYS[0], 60)):
            with pytest.raises(StoreDown):
                run(touch)
        assert run(store.get(KEYS[0])) is None

    def test_changes_wait_for_the_lock_of_another_process(self, tmp_path):
        store = DirectoryStore(tmp_path, self.BOUNDS)
        run(store.create(KEYS[0], b"x", 60))

        async def scenario():
            changes = {
                asyncio.create_task(change)
                for change in (
                    store.create(KEYS[1], b"x", 60),
                    store.replace(KEYS[0], b"y", 60),
                    store.beat(KEYS[2], 60),
                    store.sweep(),
                )
            }
            with (tmp_path / "explanations" / "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                done, _ = await asyncio.wait(changes, timeout=0.5)
                assert not done
            await asyncio.gather(*changes)
            assert await store.get(KEYS[0]) == b"y"

        run(scenario())


class TestRedis:
    BOUNDS = Bounds(1000, 2**20)

    def test_everything_in_it_expires(self, redis_url):
        async def scenario():
            from redis.asyncio import Redis

            await _flush(redis_url)
            store = RedisStore(redis_url, self.BOUNDS)
            await store.create(KEYS[0], b"x", 60)
            await store.replace(KEYS[0], b"y", 30)
            await store.beat(KEYS[1], 15)
            async with Redis.from_url(redis_url) as redis:
                times = {key: await redis.ttl(key) for key in await redis.keys("*")}
            assert len(times) == 4
            assert {key[:12] for key in times} == {b"{shapserve}:"}
            assert all(0 < seconds <= 60 for seconds in times.values())
            await store.close()

        run(scenario())

    def test_the_places_of_what_expired_without_a_word_are_given_back(self, redis_url):
        async def scenario():
            await _flush(redis_url)
            store = RedisStore(redis_url, Bounds(3, 5 * KIB))
            await store.create(KEYS[10], b"x", 60)  # else the books would expire as well
            for key in KEYS[:10]:
                await store.create(key, b"x" * 3 * KIB, 0.05)
                await asyncio.sleep(0.1)
            await store.close()

        run(scenario())

    def test_a_server_that_is_gone_is_told_in_time_and_without_its_address(self, caplog):
        port = free_port()
        store = RedisStore(f"redis://:secret@127.0.0.1:{port}/0", self.BOUNDS)

        async def scenario():
            for touch in (
                store.get(KEYS[0]),
                store.create(KEYS[0], b"x", 60),
                store.delete(KEYS[0]),
                store.beat(KEYS[0], 60),
                store.is_alive(KEYS[0]),
            ):
                with pytest.raises(StoreDown) as told:
                    await touch
                assert "secret" not in str(told.value)
                assert str(port) not in str(told.value)
            await store.close()

        run(scenario())
        assert caplog.text.count("does not answer: ConnectionError") == 1, "one line for all"
        assert "secret" not in caplog.text
        assert str(port) not in caplog.text

    def test_the_wrong_password_is_told_without_it(self, redis_url, caplog):
        wrong = redis_url.replace("7731", "7732")
        store = RedisStore(wrong, self.BOUNDS)
        with pytest.raises(StoreDown) as told:
            run(store.get(KEYS[0]))
        assert "7732" not in str(told.value)
        assert "AuthenticationError" in caplog.text
        assert "7732" not in caplog.text

    def test_a_full_server_is_told(self, tmp_path):
        async def scenario(url):
            store, record = RedisStore(url, Bounds(1000, 2**30)), b"x" * 500_000
            tries = [store.create(key, record, 60) for key in KEYS]
            done = await asyncio.gather(*tries, return_exceptions=True)
            assert any(isinstance(failed, StoreDown) for failed in done)
            assert all(isinstance(failed, StoreDown) for failed in done if failed is not None)
            await store.close()

        limits = ("--maxmemory", "4mb", "--maxmemory-policy", "noeviction")
        with redis_server(tmp_path, *limits) as url:
            run(scenario(url))

    def test_a_server_that_starts_again_is_found_again(self, tmp_path):
        port = free_port()

        async def scenario():
            with redis_server(tmp_path, port=port) as url:
                store = RedisStore(url, self.BOUNDS)
                await store.create(KEYS[0], b"x", 60)
            with pytest.raises(StoreDown):
                await store.get(KEYS[0])
            with redis_server(tmp_path, port=port):
                assert await store.get(KEYS[0]) is None
                await store.create(KEYS[0], b"x", 60)  # the script has to be sent again
                assert await store.get(KEYS[0]) == b"x"
                await store.close()

        run(scenario())
