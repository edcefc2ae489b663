"""Sounds to upload: WAV by the standard library, MP3 frame by frame; no encoder is needed.

The MP3 frames hold no side information, so they are legal and silent: players show their length,
which is all that is looked at here.
"""

import io
import math
import struct
import wave

ID3 = b"ID3\x04\x00\x00\x00\x00\x00\x0a" + b"\x00" * 10
"""An empty tag of ten bytes."""
ID3_TAIL = b"TAG" + b"\x00" * 125


def wav(
    seconds: float = 3.0, *, rate: int = 8_000, channels: int = 1, bits: int = 16, loud: float = 0.3
) -> bytes:
    """Return a tone of 440 Hz."""
    count = round(seconds * rate)
    top = 2 ** (bits - 1) - 1
    values = [round(loud * top * math.sin(2 * math.pi * 440 * at / rate)) for at in range(count)]
    if bits == 8:
        frames = b"".join(bytes([value + 128]) * channels for value in values)
    elif bits == 16:
        frames = b"".join(struct.pack("<h", value) * channels for value in values)
    else:
        frames = b"".join(value.to_bytes(bits // 8, "little", signed=True) for value in values)
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(bits // 8)
        writer.setframerate(rate)
        writer.writeframes(frames)
    return file.getvalue()


def mp3(seconds: float = 3.0) -> bytes:
    """Return MPEG 1 layer III, 64 kbit/s, 44.1 kHz, mono: 208 or 209 bytes a frame."""
    return mp3_frame() * math.ceil(seconds * 44_100 / 1152)


def mp3_frame() -> bytes:
    """Return one frame."""
    return b"\xff\xfb\x50\xc0" + b"\x00" * (144 * 64_000 // 44_100 - 4)


def mp3_table(frames: int) -> bytes:
    """Return a first frame that says how many follow, as encoders write it."""
    side = b"\x00" * 17
    table = b"Info" + struct.pack(">II", 1, frames)
    frame = mp3_frame()
    return frame[:4] + side + table + frame[4 + len(side) + len(table) :]
