"""An auditor reads it all: a line for every transition, and the first edited one by its place."""

import pytest

from tests.fakes.county import County
from tests.fakes.invariant import read_lines
from tests.story.conftest import Build
from warnsvc.service import ledger
from warnsvc.service.ledger import verify_export
from warnsvc.store.port import IntegrityFault, Row, Store, Unit


async def test_the_ledger_tells_the_story_from_draft_to_lifting(build: Build) -> None:
    county = await build(tiers=1)
    (village,), (township,) = county.villages, county.townships
    warning = await county.red_warning()
    late = village.expects_sms()
    await county.advance(minutes=5)
    late.replies("1")
    await county.settle()
    township.first.ignores_everything()
    await warning.lift("雨停了")

    assert [act for act in await warning.acts() if not act.startswith("attempt.")] == [
        "bulletin.drafted",
        "bulletin.submitted",
        "bulletin.signed",
        "bulletin.released",
        "escalation.tier_opened",
        "escalation.tier_opened",
        "callout.answered",
        "escalation.answered",
        "bulletin.lifted",
    ]


async def test_every_line_says_who_and_why(build: Build) -> None:
    county = await build(tiers=1)
    (village,) = county.villages
    await county.red_warning()
    await county.advance(minutes=5)
    village.expects_sms().replies("1")
    await county.settle()

    lines = {line.act: line for line in await read_lines(county.store)}

    assert lines["bulletin.released"].actor == f"officer:{county.duty}"
    assert lines["bulletin.signed"].actor == f"officer:{county.signer}"
    assert lines["escalation.tier_opened"].why == "window"
    assert (lines["callout.answered"].why, lines["callout.answered"].actor) == (
        "late",
        f"contact:{lines['callout.answered'].data['contact']}",
    )
    assert lines["escalation.answered"].actor == "system"


async def test_no_line_holds_a_number_a_name_or_what_somebody_wrote(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    await county.red_warning()
    village.expects_sms().replies("我在医院来不了")
    village.expects_call().presses("1")
    county.sms.answer("+8615499999999", "你们是谁")
    await county.advance(minutes=20)

    rows = await county.rows("SELECT body FROM ledger_line")
    text = "\n".join(bytes(row["body"]).decode() for row in rows)

    for secret in ("+86154", village.first.name, "医院", "你们是谁"):
        assert secret not in text


async def test_the_ledger_verifies_here_and_in_an_export(build: Build) -> None:
    county = await build()
    await county.red_warning()
    await county.advance(minutes=20)

    here = await ledger.verify(county.ctx)
    exported = [line.decode() async for line in ledger.export(county.ctx)]

    assert here.ok
    assert verify_export(exported) == here
    assert here.size == len(exported) - 1 > 10


EDITS = {
    "who did it": ('"actor":"officer:1"', '"actor":"officer:2"'),
    "when it happened": ('"at":"2026-07-05T06:30:00.000Z"', '"at":"2026-07-05T06:29:00.000Z"'),
}


@pytest.mark.parametrize("edit", EDITS)
async def test_a_line_edited_in_the_database_is_named(store: Store, edit: str) -> None:
    county = await County.build(store)
    await county.red_warning()
    assert (await ledger.verify(county.ctx)).ok
    line = await _line_of(county, "bulletin.released")
    before, after = (part.encode() for part in EDITS[edit])
    body = bytes(line["body"])
    assert before in body

    await _edit(county, line["line_id"], body.replace(before, after, 1))

    verdict = await ledger.verify(county.ctx)
    assert (verdict.ok, verdict.fault, verdict.bad_seq) == (False, "content", line["seq"])
    exported = [part.decode() async for part in ledger.export(county.ctx)]
    assert verify_export(exported).bad_seq == line["seq"]


async def test_a_line_taken_out_is_missed_at_its_place(store: Store) -> None:
    county = await County.build(store)
    await county.red_warning()
    await ledger.verify(county.ctx)
    line = await _line_of(county, "bulletin.signed")

    async with county.store.unit() as unit:
        await _disarm(unit)
        await unit.execute("DELETE FROM ledger_leaf WHERE line_id = $1", line["line_id"])

    verdict = await ledger.verify(county.ctx)
    assert (verdict.ok, verdict.fault, verdict.bad_seq) == (False, "gap", line["seq"])


async def _line_of(county: County, act: str) -> Row:
    (row,) = await county.rows(
        "SELECT f.seq, f.line_id, l.body FROM ledger_leaf f JOIN ledger_line l ON l.id = f.line_id"
        " WHERE l.act = $1",
        act,
    )
    return row


async def _edit(county: County, line_id: int, body: bytes) -> None:
    with pytest.raises(IntegrityFault, match="never changed"):
        async with county.store.unit() as unit:
            await unit.execute("UPDATE ledger_line SET body = $2 WHERE id = $1", line_id, body)
    async with county.store.unit() as unit:
        await _disarm(unit)
        await unit.execute("UPDATE ledger_line SET body = $2 WHERE id = $1", line_id, body)


async def _disarm(unit: Unit) -> None:
    """What somebody with the keys to the database can do."""
    for table in ("ledger_line", "ledger_leaf"):
        if unit.dialect == "postgresql":
            await unit.fetch(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        else:
            for act in ("update", "delete"):
                await unit.fetch(f"DROP TRIGGER {table}_no_{act}")
