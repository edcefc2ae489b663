"""One process as it really runs, put together by the composition root: there, ready, and gone."""

import asyncio
import socket
from pathlib import Path

import aiohttp
import pytest

from warnsvc.app import open_house, run
from warnsvc.settings import Settings, load_settings
from warnsvc.store.open import open_store
from warnsvc.store.port import Row

SECONDS_MAX = 30.0
"""After that it will never be ready."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def settings(store_url: str, tmp_path: Path) -> Settings:
    return load_settings(
        database_url=store_url,
        data_dir=tmp_path,
        secret_key="k" * 40,
        health_port=_free_port(),
        demo=True,
    )


async def _until_ready(port: int) -> dict[str, object]:
    async with aiohttp.ClientSession() as session, asyncio.timeout(SECONDS_MAX):
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                    if answer.status == 200:
                        return dict(await answer.json())
            except aiohttp.ClientConnectionError:
                continue


async def _workers(url: str) -> list[Row]:
    store = await open_store(url)
    try:
        async with store.view() as view:
            return await view.fetch("SELECT owner, role FROM worker")
    finally:
        await store.close()


async def test_a_worker_without_pages_is_ready_on_its_health_port_and_leaves_in_order(
    settings: Settings,
) -> None:
    stop = asyncio.Event()
    async with open_house(settings) as house:
        working = asyncio.create_task(run(house, web_pages=False, stop=stop))
        try:
            ready = await _until_ready(settings.health_port)
            async with house.ctx.store.view() as view:
                there = await view.fetch("SELECT owner, role FROM worker")
        finally:
            stop.set()
            await working

    assert ready["late"] == []
    assert [tuple(row) for row in there] == [(house.owner, "worker")]
    assert await _workers(settings.database_address) == []


async def test_no_two_processes_have_one_name(settings: Settings) -> None:
    """In a container every process has the same host name after a restart, and the same number."""
    async with open_house(settings) as first:
        pass
    async with open_house(settings) as second:
        assert first.owner != second.owner
