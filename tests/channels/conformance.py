"""One suite that every channel passes, whatever carrier is behind it.

Add an adapter: write a `Rig` for it, subclass `ChannelConformance` in a test module, and give it a
`rig` fixture. A rig says how to make the far end misbehave and what it has seen; the suite says
what the channel must make of it.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

import pytest

from channels.base import (
    CallbackMalformed,
    CallbackRequest,
    Channel,
    InboundEvent,
    Inquiry,
    OutcomeKind,
    ReceiptEvent,
    SendRequest,
    SignatureInvalid,
)
from channels.errors import ErrorClass

TEXTS = {
    "Chinese": "【清河县应急局】山洪橙色预警：11日14–20时硫磺沟镇有强降雨，收到回1，无法到岗回2。",
    "Uyghur": "سەل ئاگاھلاندۇرۇشى: تاپشۇرۇۋالغان بولسىڭىز 1 نى قايتۇرۇڭ.",
    "Kazakh": "سەل جۇرەدى: العان بولساڭىز 1 دەپ جاۋاپ بەرىڭىز.",
    "what forms trip over": "a+b=c & d%20e\r\n\"f\" <g> #h ٪ 😀𠀀",
}


class Rig(Protocol):
    """A channel with a far end under the test's thumb."""

    channel: Channel
    impatient: Channel
    """The same channel with a very short time limit."""
    good_address: str
    bad_address: str
    signs_body: bool
    """Whether a changed body is noticed. Some carriers only prove that they know an address."""
    stamps_time: bool
    """Whether a callback that was overheard is refused later."""

    def now(self) -> datetime: ...
    def callback_url(self, token: str) -> str: ...
    def throttle(self, retry_after: float) -> None: ...
    def never_answer(self) -> None: ...
    def take_and_cut(self) -> None: ...
    async def refuse_connections(self) -> None: ...
    def texts_received(self) -> list[str]: ...
    def valid_until_received(self) -> datetime: ...
    async def receipts_of(self, request: SendRequest) -> list[CallbackRequest]:
        """Send, let time pass, and return the status callbacks in the order they came."""
        ...

    async def duplicated_receipts_of(self, request: SendRequest) -> list[CallbackRequest]: ...
    async def answer_to(self, request: SendRequest, text: str) -> CallbackRequest:
        """Send, let somebody answer, and return the callback with the answer."""
        ...


class CallRig(Rig, Protocol):
    """A channel whose calls can be taken back."""

    async def let_ring(self, request: SendRequest) -> str:
        """Send, let the phone begin to ring, and return the reference."""
        ...

    async def let_listen(self, request: SendRequest) -> str:
        """Send, let somebody pick up and listen, and return the reference."""
        ...


class ChannelConformance:
    """The suite. Subclasses provide the fixture `rig`."""

    def request(self, rig: Rig, token: str = "tok-0001", **changes: object) -> SendRequest:
        request = SendRequest(
            token=token,
            to=rig.good_address,
            text=TEXTS["Chinese"],
            language="zh",
            valid_until=rig.now() + timedelta(minutes=10),
            callback_url=rig.callback_url(token),
        )
        return replace(request, **changes)  # type: ignore[arg-type]

    def inquiry(self, rig: Rig, token: str = "tok-0001", **changes: object) -> Inquiry:
        request = self.request(rig, token, **changes)
        return Inquiry(token=token, to=request.to, text=request.text, sent_at=rig.now())

    # ------------------------------------------------------------------------------------ outcomes

    async def test_a_good_address_is_accepted_with_a_reference(self, rig: Rig) -> None:
        outcome = await rig.channel.send(self.request(rig))

        assert outcome.kind is OutcomeKind.ACCEPTED
        assert outcome.reference
        assert outcome.parts >= 1

    async def test_a_bad_address_is_rejected_as_such(self, rig: Rig) -> None:
        outcome = await rig.channel.send(self.request(rig, to=rig.bad_address))

        assert outcome.kind is OutcomeKind.REJECTED
        assert outcome.error_class is ErrorClass.BAD_NUMBER

    async def test_a_throttled_send_keeps_the_pause_the_carrier_asked_for(self, rig: Rig) -> None:
        rig.throttle(7.0)

        outcome = await rig.channel.send(self.request(rig))

        assert outcome.kind is OutcomeKind.THROTTLED
        assert outcome.error_class is ErrorClass.THROTTLED
        assert outcome.retry_after == 7.0

    async def test_a_request_that_is_never_answered_is_unknown(self, rig: Rig) -> None:
        rig.never_answer()

        outcome = await rig.impatient.send(self.request(rig))

        assert outcome.kind is OutcomeKind.UNKNOWN
        assert outcome.error_class is ErrorClass.AMBIGUOUS

    async def test_an_answer_that_is_cut_off_is_unknown_though_it_was_taken(self, rig: Rig) -> None:
        rig.take_and_cut()

        outcome = await rig.channel.send(self.request(rig))

        assert outcome.kind is OutcomeKind.UNKNOWN
        found = await rig.channel.lookup(self.inquiry(rig))
        assert bool(found) is rig.channel.capabilities.can_lookup

    async def test_a_refused_connection_means_that_nothing_was_sent(self, rig: Rig) -> None:
        await rig.refuse_connections()

        outcome = await rig.channel.send(self.request(rig))

        assert outcome.kind is OutcomeKind.THROTTLED
        assert outcome.error_class is ErrorClass.DOWN
        assert outcome.retry_after > 0

    async def test_what_is_no_longer_valid_is_not_sent(self, rig: Rig) -> None:
        request = self.request(rig, valid_until=rig.now() - timedelta(seconds=1))

        outcome = await rig.channel.send(request)

        assert outcome.kind is OutcomeKind.REJECTED
        assert outcome.error_class is ErrorClass.EXPIRED
        assert rig.texts_received() == []

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
    async def test_a_text_survives_byte_for_byte(self, rig: Rig, text: str) -> None:
        await rig.channel.send(self.request(rig, text=text))

        assert rig.texts_received() == [text]

    async def test_the_validity_is_passed_on(self, rig: Rig) -> None:
        if rig.channel.capabilities.validity_seconds_max == 0:
            pytest.skip("this carrier takes no validity")
        until = rig.now() + timedelta(seconds=90)

        await rig.channel.send(self.request(rig, valid_until=until))

        assert rig.valid_until_received() == until

    # -------------------------------------------------------------------------------------- batches

    def batch(self, rig: Rig, count: int = 3, **changes: object) -> list[SendRequest]:
        """Return requests to as many numbers; where each is a host, to one."""
        if rig.channel.capabilities.batch_max == 1:
            count = 1
        good = rig.good_address
        return [
            self.request(
                rig, f"tok-10{n:02d}", **{"to": f"{good[:-1]}{n}" if n else good, **changes}
            )
            for n in range(count)
        ]

    async def test_messages_in_one_request_are_each_taken_once(self, rig: Rig) -> None:
        requests = self.batch(rig)

        outcomes = await rig.channel.send_batch(requests)

        assert [one.kind for one in outcomes if one] == [OutcomeKind.ACCEPTED] * len(requests)
        assert len({one.reference for one in outcomes if one}) == len(requests)
        assert rig.texts_received() == [request.text for request in requests]

    async def test_no_messages_are_no_request(self, rig: Rig) -> None:
        await rig.refuse_connections()

        assert await rig.channel.send_batch([]) == []

    async def test_a_wrong_number_among_others_costs_them_nothing(self, rig: Rig) -> None:
        good = self.batch(rig, 2)
        wrong = self.request(rig, "tok-1009", to=rig.bad_address)
        requests = [good[0], wrong, *good[1:]]

        outcomes = await rig.channel.send_batch(requests)
        for place, request in enumerate(requests):
            if outcomes[place] is None:
                (outcomes[place],) = await rig.channel.send_batch([request])

        refused = outcomes.pop(1)
        assert refused is not None
        assert refused.error_class is ErrorClass.BAD_NUMBER
        assert [said and said.kind for said in outcomes] == [OutcomeKind.ACCEPTED] * len(good)
        assert len(rig.texts_received()) == len(good)

    async def test_one_too_late_for_its_batch_is_left_out_of_it(self, rig: Rig) -> None:
        late = self.request(rig, "tok-1009", valid_until=rig.now() - timedelta(seconds=1))

        outcomes = await rig.channel.send_batch([late, *self.batch(rig)])

        said = outcomes[0]
        if said is None:
            (said,) = await rig.channel.send_batch([late])
        assert said is not None
        assert said.error_class is ErrorClass.EXPIRED

    async def test_a_batch_that_is_never_answered_is_unknown_for_each(self, rig: Rig) -> None:
        rig.never_answer()
        requests = self.batch(rig)

        outcomes = await rig.impatient.send_batch(requests)

        assert [one and one.kind for one in outcomes] == [OutcomeKind.UNKNOWN] * len(requests)

    async def test_a_throttled_batch_keeps_the_pause_for_each(self, rig: Rig) -> None:
        rig.throttle(7.0)
        requests = self.batch(rig)

        outcomes = await rig.channel.send_batch(requests)

        assert [one and one.retry_after for one in outcomes] == [7.0] * len(requests)

    async def test_a_batch_to_nobody_there_was_not_sent(self, rig: Rig) -> None:
        await rig.refuse_connections()

        outcomes = await rig.channel.send_batch(self.batch(rig))

        assert {one and one.error_class for one in outcomes} == {ErrorClass.DOWN}

    async def test_a_number_may_be_in_a_batch_twice(self, rig: Rig) -> None:
        if rig.channel.capabilities.batch_max == 1:
            pytest.skip("this carrier takes one message a request")
        requests = self.batch(rig, to=rig.good_address)

        outcomes = await rig.channel.send_batch(requests)

        assert len({one.reference for one in outcomes if one}) == len(requests)
        assert len(rig.texts_received()) == len(requests)

    # ------------------------------------------------------------------------------------- receipts

    async def test_receipts_name_our_token_and_the_carriers_time(self, rig: Rig) -> None:
        request = self.request(rig)

        callbacks = await rig.receipts_of(request)

        events = receipts(rig, callbacks)
        assert events
        assert {event.token for event in events} == {request.token}
        assert all(event.happened_at is not None for event in events)

    async def test_receipts_can_be_read_in_any_order_and_are_told_apart(self, rig: Rig) -> None:
        callbacks = await rig.receipts_of(self.request(rig))

        forwards = receipts(rig, callbacks)
        backwards = receipts(rig, callbacks[::-1])

        assert backwards == forwards[::-1]
        assert len({event.dedupe_key for event in forwards}) == len(forwards)

    async def test_a_receipt_sent_twice_has_one_key(self, rig: Rig) -> None:
        callbacks = await rig.duplicated_receipts_of(self.request(rig))

        events = receipts(rig, callbacks)
        keys = [event.dedupe_key for event in events]
        assert len(keys) > len(set(keys))
        assert len(set(events)) == len(set(keys))

    async def test_a_receipt_can_be_read_before_its_send_has_returned(self, rig: Rig) -> None:
        """Nothing in a receipt is matched by what `send` returns."""
        callbacks = await rig.receipts_of(self.request(rig, token="tok-early"))

        event = receipts(rig, callbacks)[0]

        assert event.token == "tok-early"

    # -------------------------------------------------------------------------------------- answers

    async def test_an_answer_is_read_with_its_words_unchanged(self, rig: Rig) -> None:
        callback = await rig.answer_to(self.request(rig), "1")

        events = rig.channel.parse_inbound(callback)

        assert [event.text for event in events] == ["1"]
        assert events[0].dedupe_key

    async def test_an_answer_is_no_receipt_and_a_receipt_no_answer(self, rig: Rig) -> None:
        answer = await rig.answer_to(self.request(rig), "1")
        callbacks = await rig.receipts_of(self.request(rig, token="tok-0002"))

        assert rig.channel.parse_receipts(answer) == []
        assert rig.channel.parse_inbound(callbacks[0]) == []

    # ------------------------------------------------------------------------------------- security

    async def test_a_forged_callback_is_refused(self, rig: Rig) -> None:
        if not rig.signs_body:
            pytest.skip("this carrier signs no bodies")
        for genuine in await one_of_each(self, rig):
            forged = replace(genuine, body=genuine.body.replace(b"1", b"2", 1))
            assert forged.body != genuine.body
            with pytest.raises(SignatureInvalid):
                read(rig, forged)

    async def test_a_callback_without_any_one_of_its_headers_is_refused(self, rig: Rig) -> None:
        for genuine in await one_of_each(self, rig):
            for missing in [name for name in genuine.headers if "-" in name and is_ours(name)]:
                headers = {k: v for k, v in genuine.headers.items() if k != missing}
                with pytest.raises(SignatureInvalid):
                    read(rig, replace(genuine, headers=headers))

    async def test_headers_are_found_whatever_their_case(self, rig: Rig) -> None:
        for genuine in await one_of_each(self, rig):
            shouted = {name.upper(): value for name, value in genuine.headers.items()}
            assert read(rig, replace(genuine, headers=shouted)) == read(rig, genuine)

    @pytest.mark.parametrize("minutes", [-15, 15])
    async def test_a_callback_too_old_or_from_the_future_is_refused(
        self, rig: Rig, minutes: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not rig.stamps_time:
            pytest.skip("this carrier's callbacks say no time that is signed")
        genuine = (await one_of_each(self, rig))[0]
        then = rig.now() + timedelta(minutes=minutes)
        monkeypatch.setattr(rig.channel, "_clock", lambda: then)

        with pytest.raises(SignatureInvalid):
            read(rig, genuine)

    async def test_a_callback_posted_to_another_trys_address_is_not_believed(
        self, rig: Rig
    ) -> None:
        genuine = (await rig.receipts_of(self.request(rig)))[0]
        moved = replace(genuine, token="tok-9999", url=rig.callback_url("tok-9999"))

        with pytest.raises((CallbackMalformed, SignatureInvalid)):
            rig.channel.parse_receipts(moved)

    async def test_secrets_are_not_in_its_repr(self, rig: Rig) -> None:
        assert "secret" not in repr(rig.channel).lower()
        assert rig.channel.name in repr(rig.channel)

    # ------------------------------------------------------------------------- look-up and cancel

    async def test_look_up_knows_what_it_has_seen_and_what_not(self, rig: Rig) -> None:
        if not rig.channel.capabilities.can_lookup:
            assert await rig.channel.lookup(self.inquiry(rig)) is None
            return
        callbacks = await rig.receipts_of(self.request(rig))

        found = await rig.channel.lookup(self.inquiry(rig))

        assert found is not None
        assert set(receipts(rig, callbacks)) <= set(found)
        assert await rig.channel.lookup(self.inquiry(rig, "tok-0002", text="an other text")) == []

    async def test_look_up_says_so_when_there_is_no_answer(self, rig: Rig) -> None:
        await rig.refuse_connections()

        assert await rig.channel.lookup(self.inquiry(rig)) is None

    @pytest.mark.parametrize("live", [True, False])
    async def test_what_still_waits_can_be_cancelled_once(self, rig: Rig, live: bool) -> None:
        outcome = await rig.channel.send(self.request(rig))

        first = await rig.channel.cancel(outcome.reference, live=live)
        second = await rig.channel.cancel(outcome.reference, live=live)

        assert first is rig.channel.capabilities.can_cancel
        assert second is False
        assert await rig.channel.cancel("no-such-reference", live=live) is False

    async def test_answers_missed_while_away_can_be_fetched(self, rig: Rig) -> None:
        before = rig.now()
        callback = await rig.answer_to(self.request(rig), "1")

        fetched = await rig.channel.poll_inbound(before)

        assert fetched is not None
        assert fetched.until is None, "so little is read to the end"
        if rig.channel.capabilities.can_poll:
            assert fetched.events == rig.channel.parse_inbound(callback)
        else:
            assert not fetched.events

    async def test_an_estimate_grows_with_the_number_of_sends(self, rig: Rig) -> None:
        few = rig.channel.estimate(TEXTS["Chinese"], 10)
        many = rig.channel.estimate(TEXTS["Chinese"], 10_000)

        assert few.parts == many.parts >= 1
        assert 0 < few.seconds < many.seconds


class CallConformance(ChannelConformance):
    """The same for calls that can be taken back: which of them is said each time."""

    async def test_a_call_that_rings_is_stopped_only_when_a_live_one_is_meant(
        self, rig: CallRig
    ) -> None:
        reference = await rig.let_ring(self.request(rig))

        assert await rig.channel.cancel(reference, live=False) is False
        assert await rig.channel.cancel(reference, live=True) is True

    async def test_a_call_that_is_listened_to_is_hung_up_only_when_a_live_one_is_meant(
        self, rig: CallRig
    ) -> None:
        reference = await rig.let_listen(self.request(rig))

        assert await rig.channel.cancel(reference, live=False) is False
        assert await rig.channel.cancel(reference, live=True) is True


def receipts(rig: Rig, callbacks: list[CallbackRequest]) -> list[ReceiptEvent]:
    return [event for callback in callbacks for event in rig.channel.parse_receipts(callback)]


def read(rig: Rig, callback: CallbackRequest) -> list[ReceiptEvent | InboundEvent]:
    return [*rig.channel.parse_receipts(callback), *rig.channel.parse_inbound(callback)]


async def one_of_each(suite: ChannelConformance, rig: Rig) -> list[CallbackRequest]:
    """Return a genuine receipt and a genuine answer."""
    receipt = (await rig.receipts_of(suite.request(rig)))[0]
    answer = await rig.answer_to(suite.request(rig, token="tok-0003"), "1")
    return [receipt, answer]


def is_ours(header: str) -> bool:
    return header.lower().startswith(("x-carrier-", "webhook-"))
