"""What is told from a WAV's chunks and an MP3's frames, and what is refused for which reason."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import sound as make
from warnsvc.core.refusal import Refusal
from warnsvc.service.sound import BYTES_MAX, MP3, WAV, read_sound


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("bits", [8, 16])
def test_the_length_of_a_wav_is_exact(rate: int, bits: int) -> None:
    found = read_sound(make.wav(2.5, rate=rate, bits=bits))

    assert (found.media_type, found.seconds) == (WAV, 2.5)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b""),
        (make.ID3, b""),
        (make.ID3 + b"\0" * 20, make.ID3_TAIL),
        (b"", b"APETAGEX" + b"x" * 40),
        (b"", b"\0" * 500),
        (make.mp3_table(100), b""),
        (make.ID3 + make.mp3_table(100), make.ID3_TAIL),
    ],
    ids=["bare", "tag", "tags", "ape", "padded", "table", "table and tags"],
)
def test_the_length_of_an_mp3_is_that_of_its_frames(before: bytes, after: bytes) -> None:
    found = read_sound(before + make.mp3_frame() * 100 + after)

    assert found.media_type == MP3
    assert found.seconds == pytest.approx(100 * 1152 / 44_100)


@pytest.mark.parametrize(
    ("label", "header", "samples", "rate"),
    [
        ("MPEG 1, 128 kbit/s, 44.1 kHz", b"\xff\xfb\x90\xc0", 1152, 44_100),
        ("MPEG 1 with a checksum, 48 kHz", b"\xff\xfa\x94\xc0", 1152, 48_000),
        ("MPEG 2, 32 kbit/s, 16 kHz", b"\xff\xf3\x48\xc0", 576, 16_000),
        ("MPEG 2.5, 16 kbit/s, 8 kHz", b"\xff\xe3\x28\xc0", 576, 8_000),
    ],
)
def test_every_kind_of_mp3_is_measured(label: str, header: bytes, samples: int, rate: int) -> None:
    kbits = {0x90: 128, 0x94: 128, 0x48: 32, 0x28: 16}[header[2]]
    frame = header + b"\0" * (samples // 8 * kbits * 1000 // rate - 4)

    assert read_sound(frame * 150).seconds == pytest.approx(150 * samples / rate), label


REFUSED = [
    ("recording_missing", b""),
    ("recording_too_large", b"RIFF" + b"x" * BYTES_MAX),
    ("recording_other_format", b"\0\0\0\x20ftypM4A " + b"x" * 400),
    ("recording_other_format", b"#!AMR\n" + b"x" * 400),
    ("recording_other_format", b"OggS" + b"x" * 400),
    ("recording_other_format", b"\xff\xf1\x50\x80" + b"x" * 400),
    ("recording_unknown_format", b"%PDF-1.7" + b"x" * 400),
    ("recording_unknown_format", b"RIFF\x24\0\0\0AVI LIST" + b"x" * 400),
    ("recording_unknown_format", make.mp3_frame() * 2),
    ("recording_not_pcm", make.wav(3).replace(b"fmt \x10\0\0\0\x01\0", b"fmt \x10\0\0\0\x07\0")),
    ("recording_not_mono", make.wav(3, channels=2)),
    ("recording_bits", make.wav(3, bits=24)),
    ("recording_rate", make.wav(3, rate=6_000)),
    ("recording_cut_off", make.wav(3)[:-1000]),
    ("recording_cut_off", make.mp3(3)[:-100]),
    ("recording_cut_off", make.mp3_table(120) + make.mp3_frame() * 100),
    ("recording_damaged", make.wav(3)[:30]),
    ("recording_damaged", make.mp3(3) + b"rubbish" * 200),
    ("recording_too_short", make.wav(1.9)),
    ("recording_too_short", make.wav(0)),
    ("recording_too_short", make.mp3(1.9)),
    ("recording_too_long", make.wav(181)),
    ("recording_too_long", make.mp3(181)),
    ("recording_silent", make.wav(3, loud=0.005)),
    ("recording_silent", make.wav(3, bits=8, loud=0.0)),
]


@pytest.mark.parametrize(
    ("code", "content"), REFUSED, ids=[f"{at}-{code[10:]}" for at, (code, _) in enumerate(REFUSED)]
)
def test_what_is_wrong_is_named(code: str, content: bytes) -> None:
    with pytest.raises(Refusal) as refusal:
        read_sound(content)

    assert refusal.value.code == code
    assert refusal.value.field == "sound"


def test_the_refusal_says_which_format_and_how_many_channels() -> None:
    with pytest.raises(Refusal) as strange:
        read_sound(b"\0\0\0\x20ftypM4A " + b"x" * 400)
    with pytest.raises(Refusal) as stereo:
        read_sound(make.wav(3, channels=2))

    assert strange.value.params == {"format": "M4A / MP4"}
    assert stereo.value.params == {"channels": 2}


GOOD = (
    make.wav(2),
    make.wav(2, bits=8, rate=11_025),
    make.mp3(2.5),
    make.ID3 + make.mp3_table(90) + make.mp3_frame() * 90,
)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(GOOD)))
    head = st.integers(0, 127)
    anywhere = st.integers(0, len(content) - 1)
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.one_of(head, anywhere))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.one_of(st.just(len(content)), anywhere))]

    _read_or_refused(bytes(content))


@settings(max_examples=200, deadline=None)
@given(
    start=st.sampled_from(
        [b"", b"RIFF\x10\0\0\0WAVE", b"RIFF\x10\0\0\0WAVEfmt ", b"ID3", b"\xff\xfb"]
    ),
    rest=st.binary(max_size=600),
)
def test_any_bytes_are_read_or_refused_and_nothing_else(start: bytes, rest: bytes) -> None:
    _read_or_refused(start + rest)


def _read_or_refused(content: bytes) -> None:
    try:
        seconds = read_sound(content).seconds
    except Refusal:
        return
    assert 2 <= seconds <= 180


def test_a_file_of_zeros_is_refused_quickly() -> None:
    with pytest.raises(Refusal, match="recording_unknown_format"):
        read_sound(b"\0" * BYTES_MAX)


@pytest.mark.parametrize("name", ["lame.mp3", "ffmpeg.mp3"])
def test_files_of_real_encoders_are_as_long_as_ffprobe_says(name: str) -> None:
    """A tone of 2 s at 16 kHz, by `lame -V9` and `ffmpeg -b:a 16k` of Debian 12."""
    content = (Path(__file__).parent / "sounds" / name).read_bytes()

    assert read_sound(content).seconds == pytest.approx(2.088)


def test_what_else_stands_in_a_wav_does_not_matter() -> None:
    plain = make.wav(2)
    note = b"LIST\x0a\0\0\0INFOISFT\0\0"
    length = (len(plain) - 8 + len(note)).to_bytes(4, "little")
    noted = plain[:4] + length + plain[8:36] + note + plain[36:]

    assert read_sound(noted).seconds == 2.0
