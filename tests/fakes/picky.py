"""Carriers that take texts of one kind only, to ask what they would refuse. They send nothing."""

from collections.abc import Callable, Mapping
from typing import Any

from channels.base import (
    Capabilities,
    Channel,
    ChannelKind,
    Estimate,
    Obstacle,
    OutcomeKind,
    PlainChannel,
    SendOutcome,
    SendRequest,
    Unsendable,
    Words,
)

Judge = Callable[[Words], Unsendable | None]


class PickyChannel(PlainChannel):
    """A carrier whose `check` is the test's."""

    def __init__(self, name: str, judge: Judge | None = None, **capabilities: Any) -> None:
        self.name = name
        self.capabilities = Capabilities(
            **{"kind": ChannelKind.SMS, "inbound_countries": frozenset({"86"}), **capabilities}
        )
        self._judge = judge

    async def send(self, request: SendRequest) -> SendOutcome:
        return SendOutcome(kind=OutcomeKind.REJECTED)

    def check(self, words: Words) -> Unsendable | None:
        return self._judge(words) if self._judge else super().check(words)

    def parse_receipts(self, request: Any) -> list[Any]:
        return []

    def parse_inbound(self, request: Any) -> list[Any]:
        return []

    def estimate(self, text: str, count: int) -> Estimate:
        return Estimate(parts=1, seconds=count)

    async def close(self) -> None:
        pass


def text_at_most(limit: int) -> Judge:
    """A template with room for so many characters of the officer's text."""

    def judge(words: Words) -> Unsendable | None:
        given = len(str(words.fields["text"]))
        if given <= limit:
            return None
        return Unsendable(
            obstacle=Obstacle.FIELD_TOO_LONG, field="text", limit=limit, given=given
        )

    return judge


def templates_for(**forms: str) -> Judge:
    """Approved templates: form → the languages that have one, such as `call="zh en"`."""

    def judge(words: Words) -> Unsendable | None:
        if words.language in forms.get(words.form, "").split():
            return None
        return Unsendable(obstacle=Obstacle.NO_TEMPLATE)

    return judge


def says(unsendable: Unsendable) -> Judge:
    """A carrier that finds the same in every text."""
    return lambda _: unsendable


def by_name(*channels: PickyChannel) -> Mapping[str, Channel]:
    """Return channels as a fleet wants them."""
    return {channel.name: channel for channel in channels}
