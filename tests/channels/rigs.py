"""Far ends for the conformance suite: the simulated carrier on virtual time, and its endpoints."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from channels.base import CallbackRequest, Channel, SendRequest
from channels.http_client import TimeLimits
from channels.simulated import SimulatedSms, SimulatedVoice
from channels.simulator import (
    Account,
    AnswersBy,
    Behaviour,
    CarrierConfig,
    CarrierServer,
    Habit,
    Hook,
    ManualTimeline,
    OutageKind,
)
from channels.webhook import WebhookChannel
from channels.webhook_secret import endpoint_secret
from tests.channels.catcher import Catcher

START = datetime(2025, 7, 11, 6, 0, tzinfo=UTC)
ACCOUNT_SECRET = "very-secret-account-word"
HOOK_SECRET = "very-secret-endpoint-word"
SENDER = "106900000001"
PHONE = "+8613912345678"
IMPATIENT = TimeLimits(connect=5.0, total=0.2)

CONFIG = CarrierConfig(
    accounts=(Account(name="county", secrets=(ACCOUNT_SECRET,), senders=(SENDER,)),),
    hooks=(Hook(name="loudspeaker", secrets=(HOOK_SECRET,), answers_by=AnswersBy.SILENCE),),
    behaviour=Behaviour(spread=0.0),
)


class CarrierRig:
    """What the three rigs share: a carrier on virtual time and a place to catch callbacks."""

    channel: Channel
    impatient: Channel
    good_address = PHONE
    bad_address = "12345"
    signs_body = True
    stamps_time = True

    def __init__(self, config: CarrierConfig = CONFIG) -> None:
        self.timeline = ManualTimeline(START)
        self.server = CarrierServer(config, timeline=self.timeline)
        self.carrier = self.server.carrier
        self.catcher = Catcher()

    async def start(self) -> None:
        await self.catcher.start()
        await self.server.start()
        self.channel, self.impatient = self.make(None), self.make(IMPATIENT)

    async def close(self) -> None:
        await self.channel.close()
        await self.impatient.close()
        await self.server.close()
        await self.catcher.close()

    def make(self, limits: TimeLimits | None) -> Channel:
        raise NotImplementedError

    def now(self) -> datetime:
        return self.timeline.now_at()

    def callback_url(self, token: str) -> str:
        return self.catcher.callback_url(token)

    def behave(self, **changes: object) -> None:
        self.carrier.behaviour = replace(self.carrier.behaviour, **changes)  # type: ignore[arg-type]

    def throttle(self, retry_after: float) -> None:
        self.behave(requests_per_second=1e-9, retry_after=retry_after)
        for ledger in (*self.carrier.ledgers.values(), self.carrier.hooks.ledger("loudspeaker")):
            assert ledger is not None
            ledger.tokens_at = self.timeline.now()

    def never_answer(self) -> None:
        self.carrier.break_down(OutageKind.SILENT, 3600)

    def take_and_cut(self) -> None:
        self.behave(lose_answer=1.0)

    async def refuse_connections(self) -> None:
        self.carrier.break_down(OutageKind.REFUSE, 3600)

    def texts_received(self) -> list[str]:
        return [message.text for message in self.carrier.messages()]

    def valid_until_received(self) -> datetime:
        message = next(iter(self.carrier.messages()))
        return datetime.fromtimestamp(message.valid_until, UTC)

    async def receipts_of(self, request: SendRequest) -> list[CallbackRequest]:
        await self.channel.send(request)
        await self.timeline.advance(120)
        return self.catcher.take()

    async def duplicated_receipts_of(self, request: SendRequest) -> list[CallbackRequest]:
        self.behave(duplicate_receipt=1.0)
        return await self.receipts_of(request)


class SmsRig(CarrierRig):
    def make(self, limits: TimeLimits | None) -> Channel:
        return SimulatedSms(
            name="sms-test",
            base_url=self.server.url,
            account="county",
            secrets=[ACCOUNT_SECRET],
            sender=SENDER,
            limits=limits,
            clock=self.timeline.now_at,
        )

    async def answer_to(self, request: SendRequest, text: str) -> CallbackRequest:
        ledger = self.carrier.ledgers["county"]
        inbound = self.catcher.callback_url("inbound")
        ledger.account = replace(ledger.account, inbound_callback=inbound)
        await self.receipts_of(request)
        self.carrier.reply(request.to, text)
        await self.timeline.advance(1)
        return self.catcher.take()[-1]


class VoiceRig(CarrierRig):
    def make(self, limits: TimeLimits | None) -> Channel:
        return SimulatedVoice(
            name="voice-test",
            base_url=self.server.url,
            account="county",
            secrets=[ACCOUNT_SECRET],
            sender=SENDER,
            limits=limits,
            clock=self.timeline.now_at,
        )

    async def let_ring(self, request: SendRequest) -> str:
        outcome = await self.channel.send(request)
        await self.timeline.advance(5)
        return outcome.reference

    async def let_listen(self, request: SendRequest) -> str:
        habit = Habit(name="quick", share=1, picks_up=1.0, pick_up_seconds=0.5)
        self.carrier.shelf.get(request.to).habit = habit
        reference = await self.let_ring(request)
        assert [call.status for call in self.carrier.messages()] == ["answered"]
        return reference

    async def answer_to(self, request: SendRequest, text: str) -> CallbackRequest:
        await self.channel.send(request)
        await self.timeline.advance(5)
        assert self.carrier.take_call(request.to, text)
        await self.timeline.advance(20)
        return next(call for call in self.catcher.take() if b"Status=digits" in call.body)


class WebhookRig(CarrierRig):
    bad_address = "ftp://127.0.0.1/siren"

    async def start(self) -> None:
        await super().start()
        self.good_address = f"{self.server.url}/v1/hooks/loudspeaker"
        own = endpoint_secret(HOOK_SECRET, self.good_address)
        self.carrier.hooks.set_secrets("loudspeaker", (own,))

    def make(self, limits: TimeLimits | None) -> Channel:
        return WebhookChannel(
            name="webhook-test",
            secrets=[HOOK_SECRET],
            allow_private=True,
            limits=limits,
            clock=self.timeline.now_at,
        )

    def texts_received(self) -> list[str]:
        handset = self.carrier.shelf.find("hook:loudspeaker")
        return [entry.text for entry in handset.entries] if handset else []

    def valid_until_received(self) -> datetime:
        return datetime.fromisoformat(str(self.carrier.hooks.data("loudspeaker")["valid_until"]))

    async def duplicated_receipts_of(self, request: SendRequest) -> list[CallbackRequest]:
        """The endpoint's first post fails after it was taken: it posts again under the same id."""
        callbacks = await self.receipts_of(request)
        return callbacks * 2

    async def answer_to(self, request: SendRequest, text: str) -> CallbackRequest:
        await self.receipts_of(request)
        self.carrier.reply("hook:loudspeaker", text)
        await self.timeline.advance(timedelta(seconds=1).total_seconds())
        return self.catcher.take()[-1]


RIGS: dict[str, Callable[[], CarrierRig]] = {
    "sms": SmsRig,
    "voice": VoiceRig,
    "webhook": WebhookRig,
}
