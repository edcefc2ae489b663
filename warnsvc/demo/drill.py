"""The first thing that waits in the demo: a drill for two townships, written and not yet signed.

So that whoever logs in as the signer has one thing to do next. It is a drill in every word, and is
never released by the program.
"""

from datetime import timedelta

from contacts.county import township_code
from contacts.directory.load import load_tree
from warnsvc.core.bulletin import BulletinStatus, Colour
from warnsvc.localtime import LocalTime
from warnsvc.resource import templates_dir
from warnsvc.service import bulletin
from warnsvc.service.bulletin import BulletinDraft
from warnsvc.service.context import Context
from warnsvc.web.starter import Starter

HAZARD = "11B03"
"""Rainstorm."""
TOWNSHIPS = (0, 2)
"""A town that speaks Chinese and a township that speaks Uyghur: 云溪镇 and 鹿鸣乡."""
VALID_HOURS = 6


async def prepare_drill(ctx: Context, *, author: int) -> int | None:
    """Write and submit the drill; returns its id, or None when there are bulletins already."""
    async with ctx.store.view() as unit:
        if await unit.fetch("SELECT id FROM bulletin LIMIT 1"):
            return None
        tree = await load_tree(unit)
    codes = tuple(township_code(at) for at in TOWNSHIPS)
    draft = _draft(ctx, codes, [tree[code].name for code in codes])
    drill_id = await bulletin.draft(ctx, officer=author, draft=draft)
    await bulletin.submit(ctx, officer=author, bulletin_id=drill_id)
    return drill_id


def _draft(ctx: Context, codes: tuple[str, ...], places: list[str]) -> BulletinDraft:
    onset_at = ctx.clock.now()
    expires_at = onset_at + timedelta(hours=VALID_HOURS)
    starter = Starter(templates_dir() / "web" / "starter", LocalTime(ctx.settings.zone))
    return BulletinDraft(
        status=BulletinStatus.EXERCISE,
        hazard=HAZARD,
        colour=Colour.RED,
        region_codes=codes,
        texts=starter.texts(
            hazard=HAZARD,
            colour=Colour.RED,
            places=places,
            onset_at=onset_at,
            expires_at=expires_at,
            drill=True,
        ),
        onset_at=onset_at,
        expires_at=expires_at,
    )
