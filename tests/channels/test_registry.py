"""Channels are built from configuration, and mistakes are told in a sentence without values."""

from pathlib import Path

import pytest

from channels.base import ChannelKind, PerCalleeLimit
from channels.http_client import TimeLimits
from channels.registry import ADAPTERS, ChannelMisconfigured, ChannelSpec, build_channels
from channels.simulated import SimulatedSms

SECRET = "a-secret-nobody-may-ever-read"
SMS = {
    "name": "sms-main",
    "adapter": "simulated-sms",
    "base_url": "http://127.0.0.1:8081",
    "account": "county",
    "secret": SECRET,
    "sender": "106900000001",
}


async def test_channels_are_built_by_name() -> None:
    channels = build_channels(
        [
            SMS,
            {**SMS, "name": "voice-main", "kind": "voice", "adapter": "simulated-voice", "lines": 4},
            {"name": "hooks", "adapter": "webhook", "params": {"secrets": [SECRET], "allow_private": True}},
        ]
    )

    kinds = {name: channel.capabilities.kind for name, channel in channels.items()}
    assert kinds == {
        "sms-main": ChannelKind.SMS,
        "voice-main": ChannelKind.VOICE,
        "hooks": ChannelKind.WEBHOOK,
    }
    assert channels["voice-main"].capabilities.lines == 4


async def test_secrets_come_from_files_two_of_them_during_a_rotation(tmp_path: Path) -> None:
    for name in ("new", "old"):
        (tmp_path / name).write_text(f"{name}-secret\n")
    table = {k: v for k, v in SMS.items() if k != "secret"}

    channel = build_channels([{**table, "secret_files": [str(tmp_path / "new"), str(tmp_path / "old")]}])["sms-main"]

    assert isinstance(channel, SimulatedSms)
    assert channel._secrets == ("new-secret", "old-secret")


async def test_limits_can_be_written_as_tables() -> None:
    channel = build_channels(
        [{**SMS, "limits": {"connect": 1, "total": 2}, "per_callee": [{"count": 1, "seconds": 60}]}]
    )["sms-main"]

    assert channel.capabilities.per_callee == (PerCalleeLimit(count=1, seconds=60),)
    assert TimeLimits(connect=1, total=2)


MISTAKES = [
    ({**SMS, "adapter": "carrier-pigeon"}, "no adapter 'carrier-pigeon'"),
    ({**SMS, "kind": "voice"}, "is for sms, not voice"),
    ({**SMS, "colour": SECRET}, "does not know colour"),
    ({k: v for k, v in SMS.items() if k != "sender"}, "needs sender"),
    ({k: v for k, v in SMS.items() if k != "secret"}, "needs secrets"),
    ({k: v for k, v in SMS.items() if k != "name"}, "needs name"),
    ({k: v for k, v in SMS.items() if k != "adapter"}, "needs adapter"),
    ({**SMS, "secret_file": "/nowhere/at/all"}, "cannot read a secret file"),
    ({"name": "h", "adapter": "webhook", "secret": "short"}, "24 to 64 bytes"),
    ({"name": "h", "adapter": "webhook", "secrets": SECRET}, "secrets is a list"),
    ({"name": "h", "adapter": "webhook", "secrets": []}, "needs a secret"),
    ({**SMS, "limits": {"sometime": 3}}, "limits is not right"),
    ({**SMS, "per_second": 0}, "a pace is 0.001 to 100000 a second"),
    ({**SMS, "per_second": 1e9}, "a pace is 0.001 to 100000 a second"),
    ({**SMS, "per_second": float("nan")}, "per_second is a number from 0"),
    ({**SMS, "per_second": float("inf")}, "per_second is a number from 0"),
    ({**SMS, "per_second": -1}, "per_second is a number from 0"),
    ({**SMS, "sender_per_second": -2}, "sender_per_second is a number from 0"),
]


@pytest.mark.parametrize(("table", "sentence"), MISTAKES, ids=[case[1] for case in MISTAKES])
def test_a_mistake_is_told_in_a_sentence_that_holds_no_secret(
    table: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ChannelMisconfigured, match=sentence) as caught:
        build_channels([table])

    assert SECRET not in str(caught.value)


def test_two_channels_of_one_name_are_a_mistake() -> None:
    with pytest.raises(ChannelMisconfigured, match="two channels are named sms-main"):
        build_channels([SMS, SMS])


def test_a_spec_does_not_print_its_parameters() -> None:
    spec = ChannelSpec(name="x", adapter="webhook", params={"secrets": [SECRET]})

    assert SECRET not in repr(spec)


def test_every_adapter_is_described_in_the_conformance_suite() -> None:
    from tests.channels.rigs import RIGS

    assert {adapter.kind.value for adapter in ADAPTERS.values()} == set(RIGS)


async def test_limits_per_callee_can_be_written_in_one_line() -> None:
    (channel,) = build_channels(
        [{**SMS, "adapter": "simulated-voice", "per_callee": "1/60 5/3600 20/86400!"}]
    ).values()

    limits = [(limit.count, limit.seconds, limit.hard) for limit in channel.capabilities.per_callee]

    assert limits == [(1, 60, False), (5, 3600, False), (20, 86_400, True)]


def test_a_limit_that_cannot_be_read_stops_the_start() -> None:
    with pytest.raises(ChannelMisconfigured, match="channel sms-main: per_callee is written like"):
        build_channels([{**SMS, "per_callee": "1 a minute"}])


async def test_a_senders_own_pace_is_shared_by_name() -> None:
    channels = build_channels(
        [
            {**SMS, "sender_per_second": 2.0},
            {**SMS, "name": "voice", "adapter": "simulated-voice", "sender_per_second": 2.0},
        ]
    )

    paces = {limit.name for c in channels.values() for limit in c.capabilities.paces}

    assert paces == {"sender:106900000001"}
