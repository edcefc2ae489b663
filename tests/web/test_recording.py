"""Recordings on the bulletin's page, and where carriers fetch them."""

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import FormData
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes import sound as make
from tests.web import rig
from tests.web.rig import TEXTS, Browser, Desk
from warnsvc.service import bulletin as bulletins
from warnsvc.service.outgoing import recording_url
from warnsvc.service.recording import add_recording, recordings_of, sound_of
from warnsvc.store.recording import StoredSound
from warnsvc.web.sound import SHELF, SOUNDS_KEPT

WAV, MP3 = make.wav(3), make.mp3(4)
UYGHUR = TEXTS["ug"]


@pytest.fixture(autouse=True)
def no_voice_for_uyghur(monkeypatch: pytest.MonkeyPatch) -> None:
    """The township's head speaks Uyghur; the carrier does not, and plays recordings."""
    voice = replace(rig.CAPABILITIES["voice"], languages=frozenset({"zh", "en"}), plays=True)
    monkeypatch.setitem(rig.CAPABILITIES, "voice", voice)


async def upload(
    browser: Browser, number: int, sound: bytes, *, language: str = "ug", name: str = "ug.wav"
) -> tuple[int, str]:
    """Post a file as the form on the page does."""
    _, page = await browser.get(f"/bulletins/{number}")
    form = FormData()
    form.add_field("csrf", browser.csrf)
    if found := re.search(rf'recordings/{language}".*?name="text" value="(\w+)"', page, re.DOTALL):
        form.add_field("text", found[1])
    form.add_field("sound", sound, filename=name)
    response = await browser.client.post(f"/bulletins/{number}/recordings/{language}", data=form)
    return response.status, await response.text()


async def recorded(desk: Desk, number: int, sound: bytes = WAV) -> None:
    await add_recording(
        desk.ctx, officer=desk.officers["duty"], bulletin_id=number, language="ug", sound=sound
    )


async def test_the_page_says_what_is_missing_and_what_to_read_aloud(desk: Desk) -> None:
    number = await desk.draft()
    browser = await desk.logged_in("duty")

    _, page = await browser.get(f"/bulletins/{number}")

    assert "有 1 人使用维吾尔语，电话通道不会说，也没有可放的录音，电话里会改说汉语。" in page
    assert "</span>改说汉语" in page
    assert re.search(rf'<pre class="text" lang="ug" dir="rtl">.*{UYGHUR[:20]}', page)
    assert "تاپشۇرۇۋالسىڭىز 1" in page  # the keys are read aloud too
    assert "<audio" not in page


@pytest.mark.parametrize(("sound", "kind"), [(WAV, "audio/wav"), (MP3, "audio/mpeg")])
async def test_an_uploaded_recording_is_played_on_the_page(
    desk: Desk, sound: bytes, kind: str
) -> None:
    number = await desk.draft()
    browser = await desk.logged_in("duty")

    status, page = await upload(browser, number, sound)
    source = re.search(r'<audio controls [^>]*src="([^"]+)"', page)
    assert source
    played = await browser.client.get(source[1])

    assert status == 200
    assert "录音已保存" in page
    assert "播放录音" in page
    assert "王值班上传" in page
    assert "</span>改说汉语" not in page
    assert played.content_type == kind
    assert await played.read() == sound
    assert played.headers["Cache-Control"] == "no-store"


async def test_a_file_that_is_refused_leaves_everything_as_it_was(desk: Desk) -> None:
    number = await desk.submitted()
    await recorded(desk, number)
    await bulletins.submit(desk.ctx, officer=desk.officers["duty"], bulletin_id=number)
    browser = await desk.logged_in("duty")

    status, page = await upload(browser, number, make.wav(3, channels=2))

    assert status == 422
    assert "录音有 2 个声道，电话里只有一个。请转成单声道。" in page
    assert 'id="error-recording_ug"' in page
    assert 'aria-invalid="true"' in page
    assert (await bulletins.get(desk.ctx, number)).state == "submitted"
    assert len((await recordings_of(desk.ctx, number))["ug"].digest) == 64
    assert "<audio" in page


async def test_the_refusal_is_also_english(desk: Desk) -> None:
    number = await desk.draft()
    browser = await desk.logged_in("duty")
    await browser.get("/")
    await browser.post("/language", {"to": "en", "next": "/"})

    _, page = await upload(browser, number, b"\0\0\0\x20ftypM4A " + b"x" * 99, name="ug.m4a")

    assert "This is a file of the kind M4A / MP4, which not every carrier plays." in page
    assert "The voice carrier does not speak Uyghur" in page


async def test_nothing_chosen_is_told_too(desk: Desk) -> None:
    number = await desk.draft()
    browser = await desk.logged_in("duty")
    await browser.get(f"/bulletins/{number}")

    status, page = await browser.post(f"/bulletins/{number}/recordings/ug")

    assert status == 422
    assert "请选择录音文件" in page


async def test_a_file_above_the_limit_is_refused_in_words(desk: Desk) -> None:
    number = await desk.draft()
    browser = await desk.logged_in("duty")

    status, page = await upload(browser, number, b"RIFF" + b"x" * (6 * 1024**2))

    assert status == 422
    assert "录音文件超过 5 MB" in page


async def test_before_a_signed_bulletin_is_changed_the_page_says_what_follows(desk: Desk) -> None:
    number = await desk.signed()
    browser = await desk.logged_in("duty")

    _, before = await browser.get(f"/bulletins/{number}")
    await upload(browser, number, WAV)

    assert "预警会退回起草，须重新签发" in before
    assert (await bulletins.get(desk.ctx, number)).state == "draft"


async def test_a_recording_is_removed(desk: Desk) -> None:
    number = await desk.draft()
    await recorded(desk, number)
    browser = await desk.logged_in("duty")
    await browser.get(f"/bulletins/{number}")

    status, page = await browser.post(f"/bulletins/{number}/recordings/ug/remove")

    assert status == 200
    assert "录音已去掉" in page
    assert await recordings_of(desk.ctx, number) == {}


@pytest.mark.parametrize("login", ["signer", "auditor"])
async def test_others_listen_and_change_nothing(desk: Desk, login: str) -> None:
    number = await desk.submitted()
    await recorded(desk, number)
    browser = await desk.logged_in(login)

    _, page = await browser.get(f"/bulletins/{number}")
    status, _ = await upload(browser, number, WAV)
    removal, _ = await browser.post(f"/bulletins/{number}/recordings/ug/remove")

    assert "<audio" in page
    assert "/recordings/ug/remove" not in page
    assert 'type="file"' not in page
    assert (status, removal) == (403, 403)


async def test_after_the_release_it_can_be_heard_and_not_changed(desk: Desk) -> None:
    number = await desk.draft()
    await recorded(desk, number)
    await bulletins.submit(desk.ctx, officer=desk.officers["duty"], bulletin_id=number)
    await bulletins.sign(desk.ctx, officer=desk.officers["signer"], bulletin_id=number)
    browser = await desk.logged_in("duty")
    await browser.get(f"/bulletins/{number}")
    await browser.post(f"/bulletins/{number}/release", {"phrase": "发布云岭县"})

    _, page = await browser.get(f"/bulletins/{number}")
    status, refused = await upload(browser, number, WAV)

    assert "<audio" in page
    assert 'type="file"' not in page
    assert status == 422
    assert "已发布，叫应中" in refused


async def test_nobody_hears_it_without_a_login(desk: Desk) -> None:
    number = await desk.draft()
    await recorded(desk, number)

    response = await desk.browser().client.get(
        f"/bulletins/{number}/recordings/ug", allow_redirects=False
    )

    assert response.status == 303


@pytest.mark.parametrize("path", ["/bulletins/1/recordings/ug", "/bulletins/99/recordings/ug"])
async def test_what_is_not_recorded_is_not_found(desk: Desk, path: str) -> None:
    await desk.draft()
    browser = await desk.logged_in("duty")

    status, _ = await browser.get(path)

    assert status == 404


async def test_an_unknown_language_or_bulletin_is_not_found(desk: Desk) -> None:
    number = await desk.draft()
    browser = await desk.logged_in("duty")

    strange, _ = await upload(browser, number, WAV, language="tlh")
    nowhere, _ = await upload(browser, 99, WAV)

    assert (strange, nowhere) == (404, 404)


# What carriers fetch ---------------------------------------------------------------------------


def address(desk: Desk, number: int, language: str = "ug") -> str:
    """Return the path of the address that carriers are given."""
    return recording_url(desk.ctx, number, language).removeprefix(desk.ctx.settings.public_url)


@pytest.mark.parametrize(("sound", "kind"), [(WAV, "audio/wav"), (MP3, "audio/mpeg")])
async def test_a_carrier_fetches_it_without_a_login(desk: Desk, sound: bytes, kind: str) -> None:
    number = await desk.draft()
    await recorded(desk, number, sound)
    client = desk.browser().client

    whole = await client.get(address(desk, number))
    head = await client.head(address(desk, number))

    assert (whole.status, head.status) == (200, 200)
    assert await whole.read() == sound
    assert await head.read() == b""
    for answer in (whole, head):
        assert answer.headers["Content-Type"] == kind
        assert answer.headers["Content-Length"] == str(len(sound))
        assert answer.headers["Cache-Control"] == "public, max-age=3600"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Set-Cookie" not in answer.headers


async def test_what_the_carrier_has_already_is_not_sent_again(desk: Desk) -> None:
    number = await desk.draft()
    await recorded(desk, number)
    client = desk.browser().client

    first = await client.get(address(desk, number))
    again = await client.get(
        address(desk, number), headers={"If-None-Match": first.headers["ETag"]}
    )
    await recorded(desk, number, MP3)
    changed = await client.get(
        address(desk, number), headers={"If-None-Match": first.headers["ETag"]}
    )

    assert again.status == 304
    assert await again.read() == b""
    assert changed.status == 200
    assert await changed.read() == MP3


@pytest.mark.parametrize(
    ("asked", "status", "start", "stop"),
    [
        ("bytes=0-99", 206, 0, 100),
        ("bytes=100-", 206, 100, len(WAV)),
        ("bytes=-50", 206, len(WAV) - 50, len(WAV)),
        ("bytes=100-999999999", 206, 100, len(WAV)),
        ("bytes=0-1,5-9", 200, 0, len(WAV)),
        ("lines=1-2", 200, 0, len(WAV)),
    ],
)
async def test_a_part_is_sent_when_a_part_is_asked_for(
    desk: Desk, asked: str, status: int, start: int, stop: int
) -> None:
    number = await desk.draft()
    await recorded(desk, number)

    response = await desk.browser().client.get(address(desk, number), headers={"Range": asked})

    assert response.status == status
    assert await response.read() == WAV[start:stop]
    if status == 206:
        assert response.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(WAV)}"


async def test_a_part_beyond_the_end_is_refused_and_of_another_version_is_the_whole(
    desk: Desk,
) -> None:
    number = await desk.draft()
    await recorded(desk, number)
    client = desk.browser().client

    beyond = await client.get(address(desk, number), headers={"Range": "bytes=99999999-"})
    other = await client.get(
        address(desk, number), headers={"Range": "bytes=0-9", "If-Range": '"old"'}
    )

    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{len(WAV)}")
    assert (other.status, await other.read()) == (200, WAV)


async def test_a_wrong_address_is_not_found_and_says_nothing(desk: Desk) -> None:
    number = await desk.draft()
    await recorded(desk, number)
    client = desk.browser().client
    good = address(desk, number)
    token = good.split("/")[2]
    other = desk.ctx.token("attempt", number)

    for path in (
        f"/recordings/{token}/en",
        f"/recordings/{token[:-1]}/ug",
        f"/recordings/{other}/ug",
        f"/recordings/{number}/ug",
        f"/recordings/{token}/{'x' * 500}",
        "/recordings/%00/ug",
    ):
        response = await client.get(path)

        assert response.status == 404, path
        assert await response.read() == b""


async def test_calls_that_fetch_it_at_once_share_one_copy(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[int] = []

    async def counted(*given: Any) -> StoredSound | None:
        loaded.append(1)
        return await sound_of(*given)

    monkeypatch.setattr("warnsvc.web.sound.sound_of", counted)
    number = await desk.draft()
    await recorded(desk, number, make.wav(60))
    client = desk.browser().client

    async def fetch() -> bytes:
        response = await client.get(address(desk, number))
        return await response.read()

    got = await asyncio.gather(*[fetch() for _ in range(30)])

    assert set(got) == {make.wav(60)}
    assert loaded == [1]


async def test_one_that_is_replaced_in_that_instant_is_not_sent_under_the_old_digest(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = await desk.draft()
    await recorded(desk, number)

    async def replaced(*given: Any) -> StoredSound | None:
        await recorded(desk, number, MP3)
        return await sound_of(*given)

    monkeypatch.setattr("warnsvc.web.sound.sound_of", replaced)
    response = await desk.browser().client.get(address(desk, number))

    assert response.status == 404


async def test_no_more_sounds_are_kept_than_a_warning_has_languages(desk: Desk) -> None:
    number = await desk.draft()
    client = desk.browser().client
    shelf = desk.app[SHELF]

    for at in range(SOUNDS_KEPT + 3):
        await recorded(desk, number, make.wav(3 + at / 10))
        response = await client.get(address(desk, number))
        assert await response.read() == make.wav(3 + at / 10)

    assert len(shelf) == SOUNDS_KEPT


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
async def test_no_damaged_file_breaks_the_page(desk: Desk, data: st.DataObject) -> None:
    if "number" not in desk.officers:
        desk.officers["number"] = await desk.draft()
    number = desk.officers["number"]
    browser = await desk.logged_in("duty")
    content = bytearray(data.draw(st.sampled_from([make.wav(2), make.mp3(2.5)])))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, 63))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]

    status, page = await upload(browser, number, bytes(content))

    assert status in {200, 422}
    assert ("录音已保存" in page) == (status == 200)
