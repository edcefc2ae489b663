"""How long an MP3 is, by walking from frame header to frame header; nothing is decoded.

    [ID3v2] [frame][frame] … [frame] [APE] [Lyrics] [ID3v1]
              └─ the first may be a Xing or Info table: it says how many follow and is not heard

Every frame says how long it is, so the next header must stand where the last one ends. A file in
which that is not so to its end is damaged, and one that is shorter than its own table says was cut
off on the way. Source: ISO/IEC 11172-3 §2.4.1.3, 13818-3; the table by its usual layout.
"""

from dataclasses import dataclass

_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""Version bits (3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5) → sample rates by index."""
_KBITS_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_SIDE_BYTES = {(True, True): 17, (True, False): 32, (False, True): 9, (False, False): 17}
"""(MPEG 1, mono) → bytes between a header and what would be sound."""
_LAYER_III = 1
_MONO = 3
_HEADER_BYTES = 4
_ID3_HEADER_BYTES = 10
_ID3_TAIL_BYTES = 128
_TAGS = (b"TAG", b"APETAGEX", b"LYRICS", b"ID3", b"\0")
"""How what follows the last frame may begin: tags, or zeros that fill up a block."""
FRAMES_MIN = 3
"""Bytes that look like a header are common; three, each where the one before ends, are not."""


class NotMpeg(Exception):
    """The file is something else."""


class Damaged(Exception):
    """The frames break off into something that is none."""


class CutOff(Exception):
    """The file ends before it should."""


@dataclass(frozen=True, slots=True)
class _Frame:
    kind: tuple[int, int]
    """Version and sample rate: the same in every frame of a file."""
    length: int
    samples: int
    rate: int
    is_mono: bool
    is_mpeg1: bool


def seconds_of(content: bytes) -> float:
    """Return the length in seconds. Raises NotMpeg, Damaged, CutOff."""
    at = _after_id3(content)
    first = _frame(content, at)
    if first is None:
        raise NotMpeg
    expected = _expected_frames(content, at, first)
    if expected is not None:
        at += first.length
    frames, end, is_whole = _walk(content, at, first)
    if frames < FRAMES_MIN:
        raise NotMpeg
    if expected is not None and frames < expected:
        raise CutOff
    if not is_whole and expected is None:
        raise CutOff
    if is_whole and not _is_tail(content, end):
        raise Damaged
    return frames * first.samples / first.rate


def _walk(content: bytes, at: int, first: _Frame) -> tuple[int, int, bool]:
    """Return whole frames, where they end, and whether the last one that begins also ends."""
    frames = 0
    while (frame := _frame(content, at)) is not None and frame.kind == first.kind:
        if at + frame.length > len(content):
            return frames, at, False
        at += frame.length
        frames += 1
    return frames, at, True


def _frame(content: bytes, at: int) -> _Frame | None:
    """Return the frame whose header stands here, or None."""
    header = content[at : at + _HEADER_BYTES]
    if len(header) < _HEADER_BYTES or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bits, rate_index, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version not in _RATES or layer != _LAYER_III or rate_index == 3 or bits in {0, 15}:
        return None
    is_mpeg1 = version == 3
    rate = _RATES[version][rate_index]
    kbits = (_KBITS_1 if is_mpeg1 else _KBITS_2)[bits - 1]
    samples = 1152 if is_mpeg1 else 576
    return _Frame(
        kind=(version, rate_index),
        length=samples // 8 * kbits * 1000 // rate + padding,
        samples=samples,
        rate=rate,
        is_mono=header[3] >> 6 == _MONO,
        is_mpeg1=is_mpeg1,
    )


def _expected_frames(content: bytes, at: int, first: _Frame) -> int | None:
    """Return how many frames the table in the first one announces; None: it is no table."""
    side = _SIDE_BYTES[first.is_mpeg1, first.is_mono]
    table = content[at + _HEADER_BYTES + side : at + first.length]
    if table[:4] not in {b"Xing", b"Info"} or len(table) < 12:
        return None
    return int.from_bytes(table[8:12], "big") if table[7] & 1 else 0


def _after_id3(content: bytes) -> int:
    """Return where the tag before the first frame ends; its length has seven bits a byte."""
    if content[:3] != b"ID3" or len(content) < _ID3_HEADER_BYTES:
        return 0
    length = 0
    for byte in content[6:_ID3_HEADER_BYTES]:
        length = length << 7 | byte & 0x7F
    footer = _ID3_HEADER_BYTES if content[5] & 0x10 else 0
    return _past_zeros(content, _ID3_HEADER_BYTES + length + footer)


def _past_zeros(content: bytes, at: int) -> int:
    return len(content) - len(content[at:].lstrip(b"\0"))


def _is_tail(content: bytes, at: int) -> bool:
    """Whether what follows the frames is nothing, or a tag."""
    rest = content[at:]
    return not rest or rest.startswith(_TAGS) or rest[-_ID3_TAIL_BYTES:].startswith(b"TAG")
