"""Endpoints in their tiers: each hears of its own regions, and answers for nobody else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientSession

from channels.base import Channel
from channels.webhook import WebhookChannel
from tests.fakes.county import Place
from tests.fakes.endpoint import Endpoint, EndpointServer, endpoint_server
from tests.fakes.wired_county import WiredCounty, wired_county
from warnsvc.store.port import Store

OLD, NEW = "the-old-secret-" * 3, "the-new-secret-" * 3


class HookCounty(WiredCounty):
    """A county with a webhook channel beside its phones."""

    def more_channels(self) -> dict[str, Channel]:
        return {"webhook": self.hooks_with(OLD)}

    def hooks_with(self, *secrets: str) -> WebhookChannel:
        return WebhookChannel(
            name="hooks", secrets=secrets, allow_private=True, clock=self.clock.now
        )

    @property
    def hooks(self) -> WebhookChannel:
        channel = self.by_name["hooks"]
        assert isinstance(channel, WebhookChannel)
        return channel

    async def restart_with(self, *secrets: str) -> None:
        """Start again, as after a change of the settings."""
        await self.hooks.close()
        self.by_name["hooks"] = self.channels["webhook"] = self.hooks_with(*secrets)  # type: ignore[index]
        self.start()


@dataclass(frozen=True, slots=True)
class Scene:
    """Three villages; a loudspeaker in the first two, another in the third."""

    county: HookCounty
    server: EndpointServer
    east: Endpoint
    west: Endpoint

    async def endpoint(self, name: str, *places: Place, tier: int = 1) -> Endpoint:
        """Put an endpoint into some tiers, with a secret of its own."""
        endpoint = self.server.endpoint(name)
        first, *others = places
        contact = await self.county.appoint(first, numbers=[endpoint.url], tier=tier)
        for place in others:
            await self.county.also(contact, place, tier=tier)
        endpoint.secret = self.county.hooks.endpoint_secret(endpoint.url)
        return endpoint


@asynccontextmanager
async def scene_of(store: Store, **options: int) -> AsyncIterator[Scene]:
    options = {"villages": 3, "tiers": 1, **options}
    async with (
        wired_county(store, kind=HookCounty, **options) as county,
        endpoint_server(county.clock) as server,
    ):
        bare = Scene(county, server, server.endpoint("east"), server.endpoint("west"))
        first, second, *_, last = county.villages
        await bare.endpoint("east", first, second)
        await bare.endpoint("west", last)
        yield bare
        await county.finish()  # while they still listen


@pytest.fixture
async def scene(store: Store) -> AsyncIterator[Scene]:
    async with scene_of(store) as opened:
        yield opened


def regions(data: dict[str, Any]) -> list[tuple[str, str]]:
    return [(region["code"], region["name"]) for region in data["regions"]]


def names(places: list[Place]) -> list[tuple[str, str]]:
    return [(place.code, place.name) for place in places]


async def test_each_endpoint_hears_of_its_own_regions_and_answers_its_own_way(scene: Scene) -> None:
    county, east, west = scene.county, scene.east, scene.west
    first, second, third = county.villages
    east.answers = "1"

    warning = await county.red_warning()

    assert regions(east.data) == names([first, second])
    assert regions(west.data) == names([third])
    assert {key: east.data[key] for key in ("purpose", "colour", "status", "drill", "issuer")} == {
        "purpose": "call",
        "colour": "red",
        "status": "actual",
        "drill": False,
        "issuer": "云岭县应急局",
    }
    assert east.data["hazard"] == {"code": "11B03", "name": "暴雨"}
    assert east.data["texts"]["zh"] in east.data["text"]
    assert [await warning.state(v) for v in county.villages] == ["answered", "answered", "calling"]

    assert await west.call_back("1") == 204
    await county.settle()

    assert await warning.state(third) == "answered"
    assert len(east.got) == len(west.got) == 1


async def test_one_endpoint_cannot_answer_in_anothers_name(scene: Scene) -> None:
    """West has seen everything that east was sent, and signs as well as it can."""
    county, east, west = scene.county, scene.east, scene.west
    warning = await county.red_warning()
    leaked, token = east.data["callback_url"], east.data["token"]
    e_of_west = west.data["callback_url"].partition("?e=")[2].partition("&")[0]
    e_of_east = leaked.partition("?e=")[2].partition("&")[0]

    forged = [
        await west.call_back("1", url=leaked, token=token),
        await west.call_back("1", url=leaked.replace(e_of_east, e_of_west), token=token),
        await west.call_back("1", url=leaked.partition("?")[0], token=token),
        await west.call_back("1", url=leaked.partition("?")[0] + "?" + west.data["callback_url"].partition("?")[2], token=token),
    ]
    await county.settle()

    assert forged == [403, 403, 403, 403]
    assert await warning.states() == {"calling": 3}

    # What it may post to its own address says nothing of east's try; a human sees it.
    assert await west.call_back("1", token=token) == 204
    await county.settle()
    assert await warning.states() == {"calling": 3}

    assert await east.call_back("1") == 204
    await county.settle()
    assert await warning.states() == {"answered": 2, "calling": 1}


async def test_an_id_that_another_has_used_up_costs_nobody_his_answer(scene: Scene) -> None:
    warning = await scene.county.red_warning()

    await scene.west.call_back("1", message_id="the-id")
    await scene.east.call_back("1", message_id="the-id")
    await scene.east.call_back("1", message_id="the-id")  # a repeat
    await scene.county.settle()

    assert await warning.states() == {"answered": 3}
    answers = await scene.county.rows("SELECT id FROM answer")
    assert len(answers) == 2


async def test_a_lifting_tells_every_endpoint_its_own_regions(scene: Scene) -> None:
    county, east, west = scene.county, scene.east, scene.west
    east.answers = "1"
    warning = await county.red_warning()

    await warning.lift("雨停了")
    await county.settle()

    assert regions(east.of("lift")[0]) == names(county.villages[:2])
    assert regions(west.of("lift")[0]) == names(county.villages[2:])
    told = west.of("lift")[0]
    assert (told["type"], told["reason"]) == ("cancel", "雨停了")
    assert told["identifier"] == west.of("call")[0]["identifier"]
    assert "解除" in told["text"]


async def test_a_township_is_told_who_is_silent_and_then_who_has_answered(scene: Scene) -> None:
    county = scene.county
    (township,) = county.townships
    first, second, _ = county.villages
    system = await scene.endpoint("township", township)
    await county.red_warning()
    await scene.west.call_back("1")
    await county.settle()
    assert system.got == []

    await county.advance(minutes=5, seconds=1)
    call = system.of("call")[0]
    assert regions(call) == names([first, second])
    assert [region["silent"] for region in call["regions"]] == [True, True]

    await scene.east.call_back("1")
    await county.settle()
    stood_down = system.of("stand_down")
    assert [region for data in stood_down for region in regions(data)] == names([second])
    assert not any("silent" in region for data in stood_down for region in data["regions"])


async def test_a_rotation_half_way_loses_nothing(scene: Scene) -> None:
    county, east, west = scene.county, scene.east, scene.west
    first = await county.red_warning()  # under the old secret

    await county.restart_with(NEW, OLD)
    assert await east.call_back("1") == 204  # east does not know of anything new
    west.secret = county.hooks.endpoint_secret(west.url)
    assert await west.call_back("1") == 204  # west signs anew what came before
    await county.settle()
    assert await first.states() == {"answered": 3}

    second = await county.red_warning()  # both understand it, each with its own
    assert (east.refused, west.refused) == (0, 0)
    east.secret = county.hooks.endpoint_secret(east.url)
    await county.restart_with(NEW)
    assert await east.call_back("1") == 204  # what was sent during the rotation
    assert await west.call_back("1") == 204
    await county.settle()
    assert await second.states() == {"answered": 3}

    third = await county.red_warning()
    assert (len(east.got), len(west.got)) == (3, 3)
    east.secret = county.hooks_with(OLD).endpoint_secret(east.url)
    assert await east.call_back("1") == 403  # the old one is worth nothing now
    await county.settle()
    assert await third.states() == {"calling": 3}


async def test_an_endpoint_that_answers_nonsense_has_not_taken_it(scene: Scene) -> None:
    """A login page in the way says 200: the attempt has failed, and the clock goes on."""
    county = scene.county
    scene.east.answers = ["1"]  # type: ignore[assignment]

    warning = await county.red_warning()

    (attempt, *_) = await warning.attempts(channel="webhook", address=scene.east.url)
    assert (attempt["state"], attempt["error_class"]) == ("failed", "other")
    assert await warning.state(county.villages[0]) == "calling"


async def test_a_list_of_regions_that_does_not_fit_is_whole_at_its_address(store: Store) -> None:
    async with scene_of(store, villages=400, tiers=0, superiors=0) as scene:
        county = scene.county
        system = await scene.endpoint("system", *county.villages)
        system.answers = "1"

        warning = await county.red_warning()

        told = system.data
        assert told["regions_total"] == 400
        assert 100 < len(told["regions"]) < 400
        assert regions(told) == names(county.villages[: len(told["regions"])])
        async with ClientSession() as session, session.get(told["regions_url"]) as response:
            whole = await response.json()
        assert regions(whole) == names(county.villages)
        assert whole["identifier"] == told["identifier"]
        async with ClientSession() as session, session.get(told["regions_url"][:-12] + "xx/regions") as response:
            assert response.status == 404
        assert await warning.states() == {"answered": 400}
