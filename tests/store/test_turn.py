"""Turns are fair, and what was begun is finished."""

import asyncio

import pytest

from warnsvc.store.runner import to_the_end
from warnsvc.store.turn import Turns


async def test_turns_come_in_the_order_in_which_they_were_asked_for() -> None:
    turns = Turns()
    asked = [turns.ask() for _ in range(3)]

    assert [turn.done() for turn in asked] == [True, False, False]
    turns.pass_on()
    assert [turn.done() for turn in asked] == [True, True, False]
    assert turns.wanted


async def test_who_was_cancelled_does_not_wait_any_more() -> None:
    turns = Turns()
    turns.ask()
    cancelled = turns.ask()

    cancelled.cancel()

    assert not turns.wanted
    assert not turns.had(cancelled)
    turns.pass_on()
    assert turns.ask().done()


async def test_a_turn_skips_who_was_cancelled_in_the_same_moment() -> None:
    turns = Turns()
    turns.ask()
    cancelled, patient = turns.ask(), turns.ask()

    cancelled.cancel()
    turns.pass_on()

    assert patient.done()
    assert turns.had(patient)


async def test_a_cancelled_task_waits_for_what_it_began() -> None:
    work: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(to_the_end(work))
    await asyncio.sleep(0)

    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
    work.set_result(None)

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_what_was_begun_is_heard() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await to_the_end(fail())
