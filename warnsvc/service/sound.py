"""What an uploaded recording is: its kind and its length, or what is wrong with it.

    bytes ──► WAV by its chunks, MP3 by its frame headers ──► Sound(media type, seconds)
                                                        └──► Refusal: which property, what it is

A carrier plays what it fetches to somebody at night, so a file that is cut off, silent, or only
named `.mp3` is refused while an officer is still there to make another. Nothing is decoded, changed
or converted. Source: carriers.md §1.3; Twilio plays audio/mpeg, audio/wav and others, other
gateways less, so this takes what all of them play.
"""

import io
import sys
import wave
from array import array
from collections.abc import Mapping
from dataclasses import dataclass

from warnsvc.core.refusal import Refusal
from warnsvc.service import mpeg

BYTES_MAX = 5 * 1024 * 1024
"""Three minutes of 8 kHz WAV are 2.9 MB. A carrier fetches it for every call it makes."""
SECONDS_MIN = 2.0
"""Nothing shorter says what the danger is and which key to press."""
SECONDS_MAX = 180.0
"""A call that takes longer keeps its line from the next village, and nobody listens so long."""
WAV, MP3 = "audio/wav", "audio/mpeg"
SAMPLE_BITS = (8, 16)
SAMPLE_RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
QUIETEST_PEAK = 0.01
"""Of full scale. A voice on a bad phone peaks at a tenth; a microphone that is off does not."""
PEAK_STRIDE = 4
"""Every so many-th sample is looked at: a voice of 3 kHz has several on each swing."""

_STRANGERS: Mapping[tuple[int, bytes], str] = {
    (4, b"ftyp"): "M4A / MP4",
    (0, b"OggS"): "OGG",
    (0, b"fLaC"): "FLAC",
    (0, b"#!AMR"): "AMR",
    (0, b"\x1a\x45\xdf\xa3"): "WebM",
    (0, b"0&\xb2u"): "WMA",
    (0, b"FORM"): "AIFF",
    (0, b"\xff\xf0"): "AAC",
    (0, b"\xff\xf1"): "AAC",
    (0, b"\xff\xf8"): "AAC",
    (0, b"\xff\xf9"): "AAC",
    (0, b"RIFX"): "RIFX",
}
"""(Offset, first bytes) → what phones and computers record in that no gateway surely plays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """A file that can be played in a call."""

    media_type: str
    seconds: float


def read_sound(content: bytes) -> Sound:
    """Return what the file is. Raises Refusal and nothing else, whatever the bytes are."""
    if not content:
        raise Refusal("recording_missing", field="sound")
    if len(content) > BYTES_MAX:
        raise Refusal("recording_too_large", field="sound", most=BYTES_MAX // 1024**2)
    if content[:4] == b"RIFF" and content[8:12] == b"WAVE":
        sound = Sound(media_type=WAV, seconds=_wav_seconds(content))
    else:
        _refuse_strangers(content)
        sound = Sound(media_type=MP3, seconds=_mp3_seconds(content))
    if sound.seconds < SECONDS_MIN:
        raise Refusal("recording_too_short", field="sound", least=round(SECONDS_MIN))
    if sound.seconds > SECONDS_MAX:
        raise Refusal(
            "recording_too_long",
            field="sound",
            most=round(SECONDS_MAX),
            seconds=round(sound.seconds),
        )
    return sound


def _refuse_strangers(content: bytes) -> None:
    for (offset, magic), name in _STRANGERS.items():
        if content[offset : offset + len(magic)] == magic:
            raise Refusal("recording_other_format", field="sound", format=name)


def _wav_seconds(content: bytes) -> float:
    try:
        with wave.open(io.BytesIO(content)) as file:
            shape = file.getparams()
            samples = file.readframes(shape.nframes)
    except wave.Error as fault:
        if "unknown" in str(fault):  # "unknown format", "unknown extended format"
            raise Refusal("recording_not_pcm", field="sound") from fault
        raise Refusal("recording_damaged", field="sound") from fault
    except (EOFError, ValueError, ArithmeticError, OSError, RuntimeError) as fault:
        raise Refusal("recording_damaged", field="sound") from fault
    if shape.nchannels != 1:
        raise Refusal("recording_not_mono", field="sound", channels=shape.nchannels)
    if shape.sampwidth * 8 not in SAMPLE_BITS:
        raise Refusal("recording_bits", field="sound", bits=shape.sampwidth * 8)
    if shape.framerate not in SAMPLE_RATES:
        raise Refusal("recording_rate", field="sound", rate=shape.framerate)
    if len(samples) != shape.nframes * shape.sampwidth:
        raise Refusal("recording_cut_off", field="sound")
    if samples and _peak(samples, shape.sampwidth) < QUIETEST_PEAK:
        raise Refusal("recording_silent", field="sound")
    return float(shape.nframes / shape.framerate)


def _peak(samples: bytes, width: int) -> float:
    """Return the loudest sample as a share of full scale."""
    if width == 1:
        looked_at = samples[::PEAK_STRIDE]
        return max(max(looked_at) - 128, 128 - min(looked_at)) / 128
    words = array("h", samples)
    if sys.byteorder == "big":
        words.byteswap()
    heard = words[::PEAK_STRIDE]
    loudest, deepest = int(max(heard)), int(min(heard))
    return max(loudest, -deepest) / 32_768


def _mp3_seconds(content: bytes) -> float:
    try:
        return mpeg.seconds_of(content)
    except mpeg.NotMpeg as fault:
        raise Refusal("recording_unknown_format", field="sound") from fault
    except mpeg.CutOff as fault:
        raise Refusal("recording_cut_off", field="sound") from fault
    except mpeg.Damaged as fault:
        raise Refusal("recording_damaged", field="sound") from fault
