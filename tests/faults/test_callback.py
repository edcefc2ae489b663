"""F12 and F13: callbacks twice, in every order, forged, an hour late, and in a flood.

Pass: one final state for every order; nothing forged is taken; nothing genuine is lost.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path

import pytest

from tests.faults.figures import Figures
from tests.faults.hand import Callback, attempt_token, callback, receipt_form, reply_form, send
from tests.faults.rig import ROOT, Rig, clean_environment, die_with_us, open_rig

BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
HOUR = timedelta(hours=1)
FLOOD_SECONDS = 10.0
GENUINE_PER_SECOND = 100
FLOOD_CONNECTIONS = 64


@BOTH
async def test_every_order_of_a_calls_callbacks_ends_in_the_same_state(kind: str) -> None:
    """Sent, delivered, the same again an hour late, and the person's reply: 24 orders, each twice."""
    orders = list(permutations(range(4)))
    async with open_rig(kind) as rig:
        numbers = await _called(rig, len(orders))

        for order, (attempt_id, address) in zip(orders, numbers, strict=True):
            told = _four(rig, attempt_id, address)
            for place in order:
                assert await send(rig, told[place]) == 204
            for place in reversed(order):
                assert await send(rig, told[place]) == 204, "a carrier repeats itself"
        await rig.until(lambda: _kept(rig, len(orders)), 60, "what was spooled is in the database")
        await rig.until(lambda: _applied(rig), 60, "every fact is applied")

        ended = await rig.fetch(
            "SELECT a.state, c.state, c.rung, e.state, a.reference IS NOT NULL,"
            " (SELECT COUNT(*) FROM answer w WHERE w.callout_id = c.id)"
            " FROM attempt a JOIN callout c ON c.id = a.callout_id"
            " JOIN member m ON m.callout_id = c.id JOIN escalation e ON e.id = m.escalation_id"
            " WHERE a.id = ANY($1)",
            [attempt_id for attempt_id, _ in numbers],
        )
        assert len(ended) == len(orders)
        assert {tuple(row) for row in ended} == {("delivered", "answered", 6, "answered", True, 1)}


@BOTH
async def test_forged_stale_and_borrowed_callbacks_are_refused(kind: str) -> None:
    async with open_rig(kind) as rig:
        (first, address), (second, _) = await _called(rig, 2)
        reply, receipt = reply_form("F1", address), receipt_form(first, "delivered", 2)
        now = datetime.now(UTC)
        wrong = {
            "another secret": callback(rig, reply, secret="x" * 40),
            "signed an hour ago": callback(rig, reply, signed_at=now - HOUR),
            "signed in an hour": callback(rig, reply, signed_at=now + HOUR),
            "not signed": Callback(path="/callbacks/sim-sms", headers={}, body=b"Id=F2&Text=1"),
            "changed on its way": _changed(callback(rig, reply)),
            "about another try": callback(rig, receipt, token=attempt_token(second)),
            "about no try of ours": callback(rig, receipt, token="1." + "A" * 22),
            "to a carrier we do not have": callback(rig, reply, carrier="nobody"),
        }

        statuses = {name: await send(rig, forged) for name, forged in wrong.items()}

        borrowed = statuses.pop("about another try")
        assert set(statuses.values()) <= {400, 403, 404}, statuses
        assert await rig.one("SELECT COUNT(*) FROM answer") == 0
        assert await rig.states() == {"accepted": 2}, f"a borrowed one got {borrowed}"
        assert await send(rig, callback(rig, receipt, token=attempt_token(first))) == 204
        await rig.until(lambda: _is_delivered(rig), 30, "the genuine one counts")


@BOTH
async def test_a_flood_of_forged_callbacks_is_refused_and_no_genuine_answer_is_lost(
    kind: str,
) -> None:
    count = int(FLOOD_SECONDS * GENUINE_PER_SECOND)
    async with open_rig(kind) as rig:
        numbers = await _called(rig, count)
        genuine = [
            callback(rig, reply_form(f"G{n}", address)) for n, (_, address) in enumerate(numbers)
        ]
        forged = [callback(rig, reply_form(f"F{n}", "+8619900000001"), secret="x" * 40) for n in range(64)]

        quiet = await _flood(rig, genuine[: count // 10], [], seconds=FLOOD_SECONDS / 10)
        result = await _flood(rig, genuine[count // 10 :], forged, seconds=FLOOD_SECONDS * 0.9)
        await rig.until(lambda: _kept(rig, count), 120, "what was spooled is in the database")
        await rig.until(lambda: _applied(rig), 120, "every fact is applied")

        figures = Figures()
        rate = result["forged"] / result["seconds"]
        figures.add(f"flood_forged_per_s_{kind}", rate, "requests/s", "refused, 64 connections")
        figures.add(f"flood_genuine_p99_ms_{kind}", result["p99_ms"], "ms", "to 2xx, in the flood")
        figures.add(f"flood_quiet_p99_ms_{kind}", quiet["p99_ms"], "ms", "to 2xx, without it")
        figures.show()
        figures.write()
        assert result["forged_taken"] == 0
        assert result["forged"] > 1_000, "it was no flood"
        assert quiet["genuine_taken"] + result["genuine_taken"] == count
        assert await rig.one("SELECT COUNT(*) FROM inbound WHERE dedupe_key LIKE '%:G%'") == count
        assert await rig.one("SELECT COUNT(*) FROM inbound WHERE dedupe_key LIKE '%:F%'") == 0
        assert await rig.one("SELECT COUNT(*) FROM answer") == count


async def _called(rig: Rig, count: int) -> list[tuple[int, str]]:
    """Call so many people and return attempt and address of each."""
    await rig.populate(count)
    await rig.release()
    rig.start("web", "serve", *(["--no-engine"] if rig.kind == "postgresql" else []))
    if rig.kind == "postgresql":
        rig.start("worker", "worker")
    await rig.until_ready()
    await rig.until(rig.all_sent, 120)
    rows = await rig.fetch("SELECT id, address FROM attempt ORDER BY id")
    return [(row["id"], row["address"]) for row in rows]


def _four(rig: Rig, attempt_id: int, address: str) -> list[Callback]:
    token = attempt_token(attempt_id)
    return [
        callback(rig, receipt_form(attempt_id, "sent", 1), token=token),
        callback(rig, receipt_form(attempt_id, "delivered", 2), token=token),
        callback(rig, receipt_form(attempt_id, "sent", 3, late=HOUR), token=token),
        callback(rig, reply_form(f"R{attempt_id}", address)),
    ]


def _changed(genuine: Callback) -> Callback:
    body = genuine.body.replace(b"Text=1", b"Text=2")
    assert body != genuine.body
    return Callback(path=genuine.path, headers=genuine.headers, body=body)


async def _applied(rig: Rig) -> bool:
    return not await rig.one("SELECT COUNT(*) FROM inbound WHERE state = 'new'")


async def _kept(rig: Rig, answers: int) -> bool:
    """Whether so many answers are in the database; a slow disk lets them wait in the spool."""
    return bool(
        await rig.one("SELECT COUNT(*) FROM inbound WHERE kind = 'answer'") >= answers
    )


async def _is_delivered(rig: Rig) -> bool:
    return (await rig.states()).get("delivered") == 1


async def _flood(
    rig: Rig, genuine: list[Callback], forged: list[Callback], *, seconds: float
) -> dict[str, float]:
    """Let a process of its own send both kinds for so long."""
    paths = []
    for name, wanted in (("genuine", genuine), ("forged", forged)):
        path = Path(rig.folder) / name
        path.write_bytes(b"\0\0\0".join(one.raw(rig.port) for one in wanted))
        paths.append(str(path))
    connections = FLOOD_CONNECTIONS if forged else 0
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.flood", str(rig.port), *paths),
        *(str(seconds), str(connections)),
        cwd=ROOT,
        env=clean_environment(),
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=die_with_us,
    )
    output, _ = await asyncio.wait_for(process.communicate(), seconds + 60)
    return dict(json.loads(output))
