"""F15: one row that nobody can do anything with. Pass: the others are on time, the desk is told."""

from typing import Any

import pytest

from tests.faults.figures import Figures
from tests.faults.hand import callback, reply_form, send
from tests.faults.rig import Rig, open_rig, quick

PEOPLE = 200
LONG = pytest.mark.faults_long
ON_POSTGRESQL = pytest.mark.parametrize("kind", ["postgresql", pytest.param("sqlite", marks=LONG)])
ON_SQLITE = pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=LONG)])
"""By turns; the other half runs with `make faults-long`."""
ON_TIME_SECONDS = 60.0
"""On a machine that does other work; the figures say how long it took."""


@ON_POSTGRESQL
async def test_a_number_that_breaks_the_adapter_keeps_nobody_else_waiting(kind: str) -> None:
    async with open_rig(kind) as rig:
        await rig.populate(PEOPLE)
        await rig.release()
        poison = await _first(rig)
        _start(rig, FAULT_AT=f"raise_send:1000:{poison['address']}")

        took = await rig.until(lambda: _accepted(rig, PEOPLE - 1), ON_TIME_SECONDS)

        _note(f"poison_adapter_others_s_{kind}", took)
        assert (await rig.record()).duplicates == 0


async def test_a_number_that_breaks_the_adapter_is_given_up_and_shuts_no_carrier() -> None:
    """Three tries; then it has failed, and its person is called again when a round is due."""
    async with open_rig("postgresql") as rig:
        await rig.populate(3)
        await rig.release()
        poison = await _first(rig)
        _start(rig, FAULT_AT=f"raise_send:1000:{poison['address']}")

        async def given_up() -> bool:
            state = await rig.one("SELECT state FROM attempt WHERE id = $1", poison["id"])
            return bool(state == "failed")

        await rig.until(given_up, 100, "it is given up")

        assert await rig.one("SELECT COUNT(*) FROM circuit WHERE state <> 'closed'") == 0


@ON_SQLITE
async def test_a_damaged_address_fails_alone_and_its_person_is_called_otherwise(kind: str) -> None:
    async with open_rig(kind) as rig:
        await rig.populate(PEOPLE)
        await rig.release()
        poison = await _first(rig)
        await rig.damage("UPDATE attempt SET address = $2 WHERE id = $1", poison["id"], "+86\u0001 no")
        _start(rig)

        took = await rig.until(lambda: _accepted(rig, PEOPLE - 1), ON_TIME_SECONDS)
        await rig.until(lambda: _accepted(rig, PEOPLE), 30, "he has a text at the right number")

        _note(f"poison_address_others_s_{kind}", took)
        assert await rig.states() == {"failed": 1, "accepted": PEOPLE}
        reached = {text[3] for text in (await rig.record()).texts}
        assert poison["address"] in reached


@ON_POSTGRESQL
async def test_a_fact_that_always_fails_is_set_aside_and_the_others_are_applied(kind: str) -> None:
    async with open_rig(kind) as rig:
        await rig.populate(PEOPLE)
        await rig.release()
        _start(rig)
        await rig.until(lambda: _accepted(rig, PEOPLE), ON_TIME_SECONDS)
        rows = await rig.fetch("SELECT id, address FROM attempt ORDER BY id")
        _kill_all(rig)
        await rig.damage(
            "INSERT INTO inbound (id, kind, carrier, channel, dedupe_key, attempt_id, callout_id,"
            " sender, text, fact_json, received_at, state, tries, note)"
            " SELECT 1000000, 'receipt', 'sim-sms', 'sms', 'poison', a.id, NULL, '', '',"
            " '{\"word\": \"martian\"}', b.released_at, 'new', 0, ''"
            " FROM attempt a JOIN bulletin b ON b.id = a.bulletin_id WHERE a.id = $1",
            rows[0]["id"],
        )
        for process in rig.processes.values():
            process.start()
        await rig.until_ready()

        for number, row in enumerate(rows[:50]):
            assert await send(rig, callback(rig, reply_form(f"P{number}", row["address"]))) == 204
        took = await rig.until(lambda: _answers(rig, 50), ON_TIME_SECONDS)
        await rig.until(lambda: _alarmed(rig, "poison"), 20, "the desk hears of the one")

        _note(f"poison_fact_others_s_{kind}", took)
        assert await rig.one("SELECT state FROM inbound WHERE dedupe_key = 'poison'") == "poison"


@ON_SQLITE
async def test_a_damaged_callout_keeps_no_other_village_from_its_next_step(kind: str) -> None:
    """Its numbers cannot be read; a hundred and ninety-nine others are called again and end."""
    async with open_rig(kind) as rig:
        rig.pack = quick(seconds=10)
        await rig.populate(PEOPLE)
        await rig.release()
        poison = await _first(rig)
        await rig.damage(
            "UPDATE callout SET numbers_json = '[[\"?\"]]' WHERE id = $1", poison["callout_id"]
        )
        _start(rig)

        async def others_ended() -> bool:
            return (await rig.states("escalation")).get("exhausted", 0) >= PEOPLE - 1

        took = await rig.until(others_ended, 45)
        await rig.until(lambda: _alarmed(rig, "poison"), 30, "the desk hears of the one")

        _note(f"poison_callout_others_s_{kind}", took)


def _start(rig: Rig, **environment: Any) -> None:
    arguments = ["serve", "--no-engine"] if rig.kind == "postgresql" else ["serve"]
    rig.start("web", *arguments, module="tests.faults.process", **environment)
    if rig.kind == "postgresql":
        rig.start("worker", "worker", module="tests.faults.process", **environment)


def _kill_all(rig: Rig) -> None:
    for process in rig.processes.values():
        process.kill()


async def _first(rig: Rig) -> dict[str, object]:
    (row,) = await rig.fetch("SELECT id, callout_id, address FROM attempt ORDER BY id LIMIT 1")
    await rig.forget_connection()
    return {name: row[name] for name in ("id", "callout_id", "address")}


async def _accepted(rig: Rig, count: int) -> bool:
    return (await rig.states()).get("accepted", 0) >= count


async def _answers(rig: Rig, count: int) -> bool:
    return int(await rig.one("SELECT COUNT(*) FROM answer")) == count


async def _alarmed(rig: Rig, kind: str) -> bool:
    return bool(await rig.one("SELECT 1 AS one FROM alarm WHERE kind = $1", kind))


async def _exhausted(rig: Rig, callout_id: object) -> bool:
    state = await rig.one(
        "SELECT e.state FROM escalation e JOIN member m ON m.escalation_id = e.id"
        " WHERE m.callout_id = $1",
        callout_id,
    )
    return bool(state == "exhausted")


def _note(name: str, seconds: float) -> None:
    figures = Figures()
    figures.add(name, seconds, "s", "until everybody else was through")
    figures.show()
    figures.write()
