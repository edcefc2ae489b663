"""What a browser posted: fields and files, read within limits of size, number and time.

Values are kept exactly as they were typed, so that a refused form can be shown again. It never
trusts a length header and never writes an upload to disk.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from aiohttp import BodyPartReader, web
from multidict import istr

BODY_BYTES_MAX = 1024 * 1024
"""A bulletin is a few kilobytes; thousands of ticked regions are some hundred."""
BODY_SECONDS = 20
"""A form comes over the slowest line of a county in this time; a slow-loris does not."""
UPLOAD_BYTES_MAX = 20 * 1024 * 1024
"""A directory of 100,000 people in CSV is about 12 MB."""
UPLOAD_SECONDS = 180
FIELDS_MAX = 20_000
"""More than the regions of Xinjiang."""
CHUNK_BYTES = 64 * 1024
MULTIPART = istr("multipart/form-data")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was sent with a form."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of one form; a field that is missing reads as empty."""

    values: Mapping[str, list[str]] = field(default_factory=dict)
    files: Mapping[str, Upload] = field(default_factory=dict)

    def text(self, name: str, default: str = "") -> str:
        """Return a field as it was typed, with line ends as `\\n`."""
        found = self.values.get(name)
        return found[0].replace("\r\n", "\n") if found else default

    def many(self, name: str) -> list[str]:
        """Return every value of a field, each once, in order."""
        return list(dict.fromkeys(self.values.get(name, ())))

    def __contains__(self, name: object) -> bool:
        return name in self.values


async def read_form(request: web.Request, *, uploads: bool = False) -> Form:
    """Return what was posted. Raises an HTTP error when it is too long, too slow or malformed."""
    seconds = UPLOAD_SECONDS if uploads else BODY_SECONDS
    try:
        async with asyncio.timeout(seconds):
            if request.content_type == MULTIPART:
                return await _read_parts(request, UPLOAD_BYTES_MAX if uploads else BODY_BYTES_MAX)
            return _parse(await request.read())
    except TimeoutError as fault:
        raise web.HTTPRequestTimeout from fault
    except (UnicodeDecodeError, ValueError) as fault:
        raise web.HTTPBadRequest from fault


def _parse(body: bytes) -> Form:
    fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    return Form(fields)


async def _read_parts(request: web.Request, bytes_max: int) -> Form:
    values: dict[str, list[str]] = {}
    files: dict[str, Upload] = {}
    left = bytes_max
    count = 0
    async for part in await request.multipart():
        count += 1
        if not isinstance(part, BodyPartReader) or not part.name or count > FIELDS_MAX:
            raise web.HTTPBadRequest
        content = await _read_part(part, left)
        left -= len(content)
        if part.filename is None:
            values.setdefault(part.name, []).append(content.decode())
        else:
            files[part.name] = Upload(part.filename, content)
    return Form(values, files)


async def _read_part(part: BodyPartReader, bytes_max: int) -> bytes:
    content = bytearray()
    while chunk := await part.read_chunk(CHUNK_BYTES):
        content += chunk
        if len(content) > bytes_max:
            raise web.HTTPRequestEntityTooLarge(max_size=bytes_max, actual_size=len(content))
    return bytes(content)
