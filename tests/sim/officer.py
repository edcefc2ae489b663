"""Officers: they write, sign, release, lift, update, answer by hand, work on tasks, run drills.

They use the real services through whichever process is up. When it dies under their hands they
look whether it was done, and do it again if not, as people do. They never touch the database but
for the directory, which has no service of its own here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from tests.fakes.county import COUNTY
from tests.sim.crash import Gone
from tests.sim.plan import Act
from warnsvc.core.answer import AnswerKind
from warnsvc.core.bulletin import BulletinStatus, Colour
from warnsvc.core.refusal import Refusal, Refusals
from warnsvc.service import alarm, answer, bulletin, lift, release, task
from warnsvc.service.context import Context
from warnsvc.store.inbound import Inbound
from warnsvc.store.port import StoreFault

if TYPE_CHECKING:
    from tests.sim.world import World

T = TypeVar("T")

AUTHOR, SIGNER = 1, 2
TRIES_MAX = 200
"""An officer gives up when the service has been away for so many seconds."""
_OPEN = ("calling", "silent", "unreachable", "refused")


class Officer:
    """The duty desk."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._issued = 0
        self.words: dict[int, str] = {}
        """Bulletin → the words that were signed."""

    async def act(self, act: Act) -> None:
        """Do one thing; what the rules refuse is left."""
        try:
            await getattr(self, f"_{act.kind}")(act)
        except (Refusal, Refusals) as refusal:
            self._world.note("refused", act.kind, str(refusal)[:60])
        self._world.stirred = max(self._world.stirred, self._world.now())

    async def issue(
        self, colour: str, *, drill: bool = False, places: tuple[str, ...] = (COUNTY,)
    ) -> int:
        """Write, submit, have signed, release."""
        self._issued += 1
        words = f"{'演练：' if drill else ''}第{self._issued}号预警，请立即转移。{'演练' if drill else ''}"
        number = await self._draft(words, colour, drill, places)
        self.words[number] = words
        await self._once(lambda ctx: bulletin.submit(ctx, officer=AUTHOR, bulletin_id=number))
        if self._issued > 1:  # He is in a hurry; the rule decides whether he may.
            await self._try_quietly(lambda ctx: bulletin.sign(ctx, officer=AUTHOR, bulletin_id=number))
        await self._once(lambda ctx: bulletin.sign(ctx, officer=SIGNER, bulletin_id=number))
        await self._once(lambda ctx: self._release(ctx, number))
        self._world.stirred = self._world.now()
        return number

    async def _draft(
        self, words: str, colour: str, drill: bool, places: tuple[str, ...]
    ) -> int:
        """Write it once, also when the process died after keeping it."""
        world = self._world
        while True:
            now = world.loop.clock.now()
            draft = bulletin.BulletinDraft(
                status=BulletinStatus.EXERCISE if drill else BulletinStatus.ACTUAL,
                hazard="11B03",
                colour=Colour(colour),
                region_codes=places,
                texts={"zh": words},
                onset_at=now,
                expires_at=now + timedelta(seconds=world.plan.expires_seconds),
            )
            try:
                return await self._try(partial(bulletin.draft, officer=AUTHOR, draft=draft))
            except Gone:
                kept = [b.id for b in world.mirror.bulletin.values() if words in b.texts_json]
                if kept:
                    return int(kept[0])
                await asyncio.sleep(1.0)

    @staticmethod
    async def _release(ctx: Context, number: int) -> None:
        shown = await release.preview(ctx, number)
        await release.release(ctx, officer=AUTHOR, bulletin_id=number, typed=shown.phrase)

    async def _once(self, work: Callable[[Context], Awaitable[Any]]) -> None:
        """Do it until it is done; what is done already is refused, and that is well."""
        for _ in range(TRIES_MAX):
            try:
                await self._try(work)
            except Gone:
                await asyncio.sleep(1.0)
            except Refusals as refusals:  # It has run out before it could be signed or released.
                self._world.note("refused", str(refusals)[:60])
                return
            except Refusal as refusal:
                if refusal.code != "wrong_state":
                    raise
                return
            else:
                return

    async def _try(self, work: Callable[[Context], Awaitable[T]]) -> T:
        """Ask a process that is up. Raises Gone."""
        life = self._world.web()
        if life is None:
            raise Gone
        try:
            return await life.ask(lambda: work(life.ctx))
        except StoreFault as fault:
            raise Gone from fault

    # Acts --------------------------------------------------------------------------------------

    async def _second(self, act: Act) -> None:
        """Release another live bulletin, for one village."""
        villages = self._world.seeded.villages
        await self.issue(
            ("red", "orange", "yellow")[act.which % 3], places=(villages[act.which % len(villages)],)
        )

    async def _drill(self, act: Act) -> None:
        await self.issue("red", drill=True)

    async def _lift(self, act: Act) -> None:
        await self._lift_one(act.which)

    async def _lift_one(self, which: int) -> str | None:
        released = [b for b in self._world.mirror.bulletin.values() if b.state == "released"]
        if not released:
            return None
        chosen = released[which % len(released)]
        await self._once(
            lambda ctx: lift.lift(ctx, officer=AUTHOR, bulletin_id=chosen.id, reason="雨停了")
        )
        return str(chosen.colour)

    async def _update(self, act: Act) -> None:
        """Lift and release anew: the service has no update of its own yet."""
        await self._lift_one(act.which)
        await self.issue("red")

    async def _again(self, act: Act) -> None:
        """Release what is released: must be refused."""
        released = [b.id for b in self._world.mirror.bulletin.values() if b.state == "released"]
        if released:
            number = released[act.which % len(released)]
            try:
                await self._try(lambda ctx: self._release(ctx, number))
            except (Refusal, Gone):
                return
            self._world.fail(14, f"bulletin {number} was released twice")

    async def _hand(self, act: Act) -> None:
        """Enter what somebody said on the phone."""
        waiting = [c.id for c in self._world.mirror.callout.values() if c.state in _OPEN]
        if waiting:
            chosen = waiting[act.which % len(waiting)]
            kind = (AnswerKind.RECEIVED, AnswerKind.REFUSED, AnswerKind.HELP)[act.which % 3]
            now = self._world.loop.clock.now()
            await self._try_quietly(
                lambda ctx: answer.by_hand(
                    ctx, officer=AUTHOR, callout_id=chosen, kind=kind, happened_at=now, note="电话"
                )
            )

    async def _tasks(self, act: Act) -> None:
        for row in list(self._world.mirror.task.values()):
            if row.state == "open":
                number = row.id
                await self._try_quietly(partial(task.claim, officer=SIGNER, task_id=number))
                await asyncio.sleep(1.0)
                await self._try_quietly(
                    partial(task.finish, officer=SIGNER, task_id=number, result="敲门")
                )
                return

    async def _ack(self, act: Act) -> None:
        ids = list(self._world.mirror.alarm)
        await self._try_quietly(lambda ctx: alarm.acknowledge(ctx, officer=SIGNER, alarm_ids=ids))

    async def _click(self, act: Act) -> None:
        """Somebody presses the button of his answer page."""
        world = self._world
        called = [c.id for c in world.mirror.callout.values() if c.state in _OPEN]
        life = world.web()
        if not called or life is None:
            return
        chosen = called[act.which % len(called)]
        fact = Inbound(
            kind="answer",
            carrier="link",
            channel="link",
            dedupe_key=f"{chosen}:1",
            received_at=world.loop.clock.now(),
            callout_id=chosen,
            text="1",
        )
        try:
            await life.ask(lambda: life.intake.accept([fact]))
        except (Gone, StoreFault):
            return
        world.accepted.add(f"link:{chosen}:1")

    async def _move_house(self, act: Act) -> None:
        """Somebody's number is changed in the directory, in the middle of everything."""
        residents = self._world.seeded.residents
        contact = residents[act.which % len(residents)].contact

        async def change(ctx: Context) -> None:
            async with ctx.store.unit() as unit:
                await unit.execute(
                    "UPDATE contact_number SET address = $2 WHERE contact_id = $1 AND rank = 1",
                    contact,
                    f"+86154{90000000 + contact}",
                )

        await self._try_quietly(change)

    async def _forge(self, act: Act) -> None:
        """Somebody else posts in a carrier's name: 403, and nothing is kept."""
        from dataclasses import replace

        from tests.sim.world import receive

        world = self._world
        carrier = world.carriers_of("sms")[0]
        life = world.web()
        if life is None:
            return
        genuine = carrier.reply_callback("IN9999", world.phones[0], "1", None)
        forged = replace(genuine, body=genuine.body.replace(b"Text=1", b"Text=3"))
        try:
            status, _ = await life.ask(lambda: receive(life, carrier.name, forged))
        except Gone:
            return
        if status != 403:
            world.fail(3, f"a forged callback was answered {status}")

    async def _try_quietly(self, work: Callable[[Context], Awaitable[Any]]) -> None:
        try:
            await self._try(work)
        except (Refusal, Refusals, Gone) as fault:
            self._world.note("left", type(fault).__name__)
