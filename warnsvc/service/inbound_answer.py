"""Answers: whom each is from.

    it names a try ──► who was called with it        it names a callout (a link) ──► that one
    it says "no more texts" ──► an alarm about him (`opt_out`); it answers nothing
    it names nothing (a text) ──► whoever is called at that number in the newest bulletin that still
    waits for him; if none does and the last we sent him was a test, it answers the test

What is from nobody is an alarm. What an answer does is for its case to say (`inbound_work`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from warnsvc.core.answer import AnswerKind, parse
from warnsvc.service.inbound_work import States, Work
from warnsvc.service.opt_out import REPLY, people_at, tell_of_opt_outs
from warnsvc.service.test_reply import tests_of_senders
from warnsvc.service.test_word import mark_answered
from warnsvc.store.attempt import callouts_of_addresses, contacts_of_callouts, load_attempts
from warnsvc.store.port import Row, Unit
from warnsvc.store.test_send import TestSend

_WAITING = frozenset({"waiting", "calling", "unreachable", "silent", "refused"})


async def sort_answers(
    unit: Unit, facts: Sequence[Row], work: dict[int, Work], states: States, now: datetime
) -> None:
    """Find whom each answer is from, and note it with his bulletin."""
    if not facts:
        return
    askers = await _askers_of(unit, facts, now)
    of_tests: dict[int, str] = {}
    leaving = await _leaving(unit, facts, askers)
    await tell_of_opt_outs(unit, {c for ids in leaving.values() for c in ids}, now=now, by=REPLY)
    lost = 0
    for fact in facts:
        if fact["id"] in leaving:
            states.append((fact["id"], "applied", "wants no more texts"))
            continue
        if test := askers.test_of(fact):
            of_tests[test.id] = fact["text"]
            states.append((fact["id"], "applied", "the answer to a test"))
            continue
        found = askers.callouts_of(fact)
        for callout_id, bulletin_id in found:
            work.setdefault(bulletin_id, Work()).answers.append((fact, callout_id))
        lost += not found
        states.append((fact["id"], *_state(fact, found)))
    if of_tests:
        await mark_answered(unit, of_tests, now=now)
    if lost:
        await _alarm_unmatched(unit, lost, now)


async def _leaving(unit: Unit, facts: Sequence[Row], askers: "_Askers") -> dict[int, list[int]]:
    """Return fact → people of ours who wrote that they want no more texts.

    Somebody who is on no list of ours is nobody's loss: his reply goes the way of any other.
    """
    saying = [fact for fact in facts if parse(fact["text"]).kind is AnswerKind.OPTED_OUT]
    if not saying:
        return {}
    people = await people_at(unit, sorted({fact["sender"] for fact in saying if fact["sender"]}))
    called = {c for fact in saying for c, _ in askers.callouts_of(fact)}
    contacts = await contacts_of_callouts(unit, sorted(called))
    found = {
        fact["id"]: [contacts[c] for c, _ in askers.callouts_of(fact)]
        or people.get(fact["sender"], [])
        for fact in saying
    }
    return {fact_id: ids for fact_id, ids in found.items() if ids}


def _state(fact: Row, found: Sequence[tuple[int, int]]) -> tuple[str, str]:
    """What becomes of an answer, and why."""
    if not found:
        return "unmatched", "nobody was called at this number"
    if parse(fact["text"]).kind is AnswerKind.UNCLEAR:
        return "unmatched", "not understood"
    return "applied", ""


@dataclass(frozen=True, slots=True)
class _Askers:
    """What asked for a batch of answers."""

    attempts: Mapping[int, Row]
    bulletins: Mapping[int, int]
    """callout → bulletin"""
    senders: Mapping[str, list[tuple[int, int]]]
    """Address → (callout, bulletin)."""
    tests: Mapping[str, TestSend]

    def callouts_of(self, fact: Row) -> list[tuple[int, int]]:
        """Return the (callout, bulletin) that an answer is credited to."""
        if fact["attempt_id"] in self.attempts:
            attempt = self.attempts[fact["attempt_id"]]
            return [(attempt["callout_id"], attempt["bulletin_id"])]
        if fact["callout_id"] in self.bulletins:
            return [(fact["callout_id"], self.bulletins[fact["callout_id"]])]
        return self.senders.get(fact["sender"], [])

    def test_of(self, fact: Row) -> TestSend | None:
        """Return the test that a reply which names nothing is about, if it is about one."""
        if not _is_bare(fact):
            return None
        test = self.tests.get(fact["sender"])
        return test if test is not None and test.sent_at <= fact["received_at"] else None


async def _askers_of(unit: Unit, facts: Sequence[Row], now: datetime) -> _Askers:
    tries = sorted({f["attempt_id"] for f in facts if f["attempt_id"]})
    attempts = await load_attempts(unit, tries)
    links = sorted({f["callout_id"] for f in facts if f["callout_id"]})
    bulletins = await _bulletins_of(unit, links)
    bare = sorted({f["sender"] for f in facts if _is_bare(f)})
    called = await callouts_of_addresses(unit, bare) if bare else []
    awaited = {row["address"] for row in called if _awaits(row)}
    tests = await tests_of_senders(unit, bare, awaited, now=now)
    return _Askers(attempts, bulletins, _newest_waiting(called), tests)


def _is_bare(fact: Row) -> bool:
    return not fact["attempt_id"] and not fact["callout_id"]


async def _bulletins_of(unit: Unit, callout_ids: Sequence[int]) -> dict[int, int]:
    if not callout_ids:
        return {}
    rows = await unit.fetch(
        "SELECT id, bulletin_id FROM callout WHERE id = ANY($1)", list(callout_ids)
    )
    return {row["id"]: row["bulletin_id"] for row in rows}


def _awaits(called: Row) -> bool:
    """Whether a callout still waits for its answer."""
    return called["bulletin_state"] == "released" and called["callout_state"] in _WAITING


def _newest_waiting(rows: Iterable[Row]) -> dict[str, list[tuple[int, int]]]:
    """Address → the callouts of the newest bulletin that waits for somebody there, else the newest.

    Two people who share a phone are both credited: both were asked, and the phone has answered.
    """
    by_address: dict[str, dict[int, list[Row]]] = {}
    for row in rows:  # newest first
        by_address.setdefault(row["address"], {}).setdefault(row["bulletin_id"], []).append(row)
    chosen: dict[str, list[tuple[int, int]]] = {}
    for address, bulletins in by_address.items():
        groups = list(bulletins.values())
        group = next((g for g in groups if any(map(_awaits, g))), groups[0])
        chosen[address] = [(row["callout_id"], row["bulletin_id"]) for row in group]
    return chosen


async def _alarm_unmatched(unit: Unit, many: int, now: datetime) -> None:
    """One alarm while an earlier one is open: a hundred wrong replies are one thing to look at."""
    open_ = await unit.fetch_one(
        "SELECT id FROM alarm WHERE kind = 'unmatched' AND bulletin_id IS NULL"
        " AND acknowledged_at IS NULL AND ended_at IS NULL"
    )
    if open_ is None:
        (alarm_id,) = await unit.new_ids("alarm", 1)
        await unit.insert_rows(
            "alarm", ("id", "kind", "text", "raised_at"), [(alarm_id, "unmatched", str(many), now)]
        )
