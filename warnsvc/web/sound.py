"""A recording as an answer: whole, or the part that a player asked for, or "you have it already".

It is written in pieces, as fast as the other side takes them, from the one copy that all share: a
hundred calls that fetch it at once cost what one does. It asks nobody who is there.
"""

import asyncio
from collections import OrderedDict

from aiohttp import web

from warnsvc.service.context import Context
from warnsvc.service.recording import sound_of
from warnsvc.store.recording import Recording, StoredSound
from warnsvc.web.guard import protection

PIECE_BYTES = 64 * 1024
SOUNDS_KEPT = 4
"""The languages of one warning; 20 MB at most."""


class Shelf:
    """The sounds fetched last. They are found by their digest, so none can be an old one."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, StoredSound] = OrderedDict()
        self._loading = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, ctx: Context, known: Recording) -> StoredSound | None:
        """Return the sound, or None when it has been removed meanwhile."""
        async with self._loading:  # one at a time: the others find it here when it is their turn
            sound = self._kept.get(known.digest)
            if sound is None:
                sound = await sound_of(ctx, known.bulletin_id, known.language)
            if sound is not None:
                self._kept[sound.digest] = sound
                self._kept.move_to_end(sound.digest)
            while len(self._kept) > SOUNDS_KEPT:
                self._kept.popitem(last=False)
            return sound


SHELF = web.AppKey("shelf", Shelf)


async def send_sound(
    request: web.Request, ctx: Context, known: Recording, *, cache: str = "no-store"
) -> web.StreamResponse:
    """Answer with a recording: its kind, its length, its digest as ETag. HEAD gets no body."""
    headers = {
        **protection(request),
        "ETag": f'"{known.digest}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": cache,
        "Content-Type": known.media_type,
    }
    if headers["ETag"] in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    start, stop = _part(request, headers["ETag"], known.size)
    if start >= stop:
        headers["Content-Range"] = f"bytes */{known.size}"
        return web.Response(status=416, headers=headers)
    response = web.StreamResponse(headers=headers)
    if stop - start < known.size:
        response.set_status(206)
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{known.size}"
    response.content_length = stop - start
    if request.method == "HEAD":
        await response.prepare(request)
        return response
    sound = await request.app[SHELF].get(ctx, known)
    if sound is None or sound.digest != known.digest:
        return web.Response(status=404)  # removed or replaced in this instant: not released yet
    await response.prepare(request)
    content = memoryview(sound.content)[start:stop]
    for at in range(0, len(content), PIECE_BYTES):
        await response.write(content[at : at + PIECE_BYTES])
    await response.write_eof()
    return response


def _part(request: web.Request, etag: str, total: int) -> tuple[int, int]:
    """Return the bytes asked for: all of them for what cannot be read as one part."""
    whole = (0, total)
    if "Range" not in request.headers or request.headers.get("If-Range", etag) != etag:
        return whole
    try:
        asked = request.http_range
    except ValueError:
        return whole
    start, stop, _ = asked.indices(total)
    return start, stop
