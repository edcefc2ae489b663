"""A recording as an answer: whole, or the part that a player asked for, or "you have it already".

Sent in pieces as fast as the other side takes them, so that a thousand slow lines do not hold a
thousand copies. It loads nothing and asks nobody who is there.
"""

import io

from aiohttp import web

from warnsvc.store.recording import StoredSound


def sound_response(
    request: web.Request, sound: StoredSound, *, cache: str = "no-store"
) -> web.Response:
    """Return the sound with its kind, its length and its digest as ETag; HEAD gets no body."""
    etag = f'"{sound.digest}"'
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": cache}
    if etag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    total = len(sound.content)
    part = _part(request, etag, total)
    if part is None:
        return _answer(sound.media_type, sound.content, headers, status=200)
    start, stop = part
    if start >= stop:
        headers["Content-Range"] = f"bytes */{total}"
        return web.Response(status=416, headers=headers)
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{total}"
    return _answer(sound.media_type, sound.content[start:stop], headers, status=206)


def _answer(
    media_type: str, content: bytes, headers: dict[str, str], *, status: int
) -> web.Response:
    return web.Response(
        body=io.BytesIO(content), status=status, headers=headers, content_type=media_type
    )


def _part(request: web.Request, etag: str, total: int) -> tuple[int, int] | None:
    """Return the bytes asked for; None for all of them, and for what cannot be read as a part."""
    if "Range" not in request.headers or request.headers.get("If-Range", etag) != etag:
        return None
    try:
        asked = request.http_range
    except ValueError:
        return None
    start, stop, _ = asked.indices(total)
    return start, stop
