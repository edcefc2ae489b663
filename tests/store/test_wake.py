"""Who listens is told; who does not hear it looks by itself."""

import asyncio

import pytest

from warnsvc.store.open import open_store
from warnsvc.store.port import Store
from warnsvc.store.wake import Hub


async def test_a_wake_reaches_every_listener(store: Store) -> None:
    async with store.listen() as first, store.listen() as second:
        await store.wake("outbox", "engine")

        assert [await anext(first), await anext(first)] == ["outbox", "engine"]
        assert [await anext(second), await anext(second)] == ["outbox", "engine"]


async def test_topics_that_wait_are_joined() -> None:
    hub = Hub()
    with hub.listen() as topics:
        for _ in range(1000):
            hub.wake("engine")
        hub.wake("outbox")

        assert [await anext(topics), await anext(topics)] == ["engine", "outbox"]


async def test_a_listener_waits_until_it_is_woken() -> None:
    hub = Hub()
    with hub.listen() as topics:
        waiting = asyncio.ensure_future(anext(topics))
        await asyncio.sleep(0)
        assert not waiting.done()

        hub.wake("engine")

        assert await waiting == "engine"


async def test_a_wake_without_topics_wakes_nobody(store: Store) -> None:
    async with store.listen() as topics:
        await store.wake()
        await store.wake("engine")

        assert await anext(topics) == "engine"


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_wake_reaches_the_other_processes(store: Store, store_url: str) -> None:
    other = await open_store(store_url)
    async with store.listen() as here, other.listen() as there:
        await asyncio.gather(*(store.wake("engine") for _ in range(50)))
        await other.wake("outbox")

        heard_here = {await anext(here), await anext(here)}
        heard_there = {await anext(there), await anext(there)}
    await other.close()

    assert heard_here == heard_there == {"engine", "outbox"}
