"""What is written to a connection, by itself."""

import asyncio

import pytest

from service.connection import Joined


class Transport:
    """Notes what it is told."""

    def __init__(self):
        self.told = []

    def write(self, data):
        self.told.append(bytes(data))

    def close(self):
        self.told.append("closed")

    def is_closing(self):
        return "closed" in self.told


@pytest.fixture
def transport():
    return Transport()


def joined(transport):
    return Joined(transport, asyncio.get_running_loop())


def test_what_is_written_in_one_turn_goes_together(transport):
    async def scenario():
        one = joined(transport)
        one.write(b"head ")
        one.write(b"body")
        assert transport.told == []
        await asyncio.sleep(0)
        assert transport.told == [b"head body"]
        one.write(b"next")
        await asyncio.sleep(0)
        assert transport.told == [b"head body", b"next"]

    asyncio.run(scenario())


def test_what_is_large_is_not_held_back(transport):
    async def scenario():
        one = joined(transport)
        one.write(b"head ")
        one.write(b"x" * 2**17)
        assert [len(part) for part in transport.told] == [5 + 2**17]
        await asyncio.sleep(0)
        assert len(transport.told) == 1

    asyncio.run(scenario())


def test_nothing_is_lost_by_closing(transport):
    async def scenario():
        one = joined(transport)
        assert not one.is_closing()
        one.write(b"last")
        one.close()
        assert transport.told == [b"last", "closed"]
        assert one.is_closing()

    asyncio.run(scenario())
