"""Before a release: who would be called, what phones would show, what is missing.

    bulletin ──plan──► estimate + gaps + the texts as phones show them        writes nothing

The plan is made anew at release, inside its transaction: nothing that was previewed is trusted.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

from channels.segment import count
from contacts.contact import Contact, channels_of
from contacts.directory.load import (
    directory_print,
    load_assignments,
    load_contacts,
    load_tree,
)
from contacts.region import Region, RegionTree
from warnsvc.core import bulletin as rules
from warnsvc.core.bulletin import Bulletin
from warnsvc.core.estimate import Pace, PlanEstimate, estimate, reach
from warnsvc.core.pack import Rule
from warnsvc.core.plan import Gap, Plan, plan
from warnsvc.core.refusal import Refusal
from warnsvc.service.askable import askable, reply_warnings
from warnsvc.service.bulletin import BulletinDraft
from warnsvc.service.collector import collector_paused
from warnsvc.service.context import Context
from warnsvc.service.voice import Voice, message_of, voice_warnings, voices_of
from warnsvc.store.bulletin import load_bulletin
from warnsvc.store.port import Store, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewMessage:
    """One text as phones will show or say it. `people`: how many of the planned get it."""

    language: str
    channel: str
    text: str
    characters: int
    parts: int
    people: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a signer sees before signing, and a releaser before typing the phrase."""

    bulletin: Bulletin
    place: Region
    phrase: str
    digest: str
    rule: Rule
    estimate: PlanEstimate
    gaps: tuple[Gap, ...]
    contacts: Mapping[int, Contact]
    messages: tuple[PreviewMessage, ...]
    warnings: tuple[str, ...]
    """Codes such as `channel_missing:voice`, `language_missing:ug:37`, `voice_missing:ug:37` or
    `no_reply:86:37`."""
    voices: tuple[Voice, ...] = ()
    """How the people of each language are called by phone."""


async def preview(ctx: Context, bulletin_id: int) -> Preview:
    """Return what releasing this bulletin now would do.

    A large one may be up to a minute old (`_Kept`); the release itself always plans anew.
    """
    now = ctx.clock.now()
    async with ctx.store.view() as unit:
        bulletin = await load_bulletin(unit, bulletin_id)
        rule = ctx.rule(bulletin, now)
        seen = (
            bulletin_id,
            rules.digest(bulletin),
            rule,
            ctx.local_day(now),
            tuple(sorted(ctx.capabilities)),
            await directory_print(unit),
        )
        kept = _kept.get(ctx.store)
        if kept is not None and kept.seen == seen and now - kept.at < KEPT_FOR:
            return replace(kept.preview, bulletin=bulletin)
        with collector_paused():
            tree = await load_tree(unit)
            contacts, planned = await _planned(ctx, unit, bulletin, rule, tree, now)
    made = _preview(ctx, bulletin, rule, tree, planned)
    lost = tuple(reply_warnings(contacts, planned.contacts))
    made = replace(made, warnings=(*lost, *made.warnings))
    if len(planned.contacts) >= KEPT_PEOPLE_MIN:
        _kept[ctx.store] = _Kept(seen=seen, at=now, preview=made)
    return made


def _preview(
    ctx: Context, bulletin: Bulletin, rule: Rule, tree: RegionTree, planned: Plan
) -> Preview:
    place = tree.common_ancestor(bulletin.region_codes)
    people = reach(planned.contacts.values(), rule)
    messages = tuple(messages_of(ctx, bulletin, people))
    voices = voices_of(ctx, bulletin, planned.contacts.values())
    return Preview(
        bulletin=bulletin,
        place=place,
        phrase=rules.confirmation_phrase(bulletin, place.name),
        digest=rules.digest(bulletin),
        rule=rule,
        estimate=estimate(
            planned, rule=rule, parts=sms_parts(messages), paces=paces(ctx), everyone=people
        ),
        gaps=planned.gaps,
        contacts=planned.contacts,
        messages=messages,
        warnings=(*_warnings(ctx, bulletin, planned), *voice_warnings(voices)),
        voices=voices,
    )


KEPT_PEOPLE_MIN = 1_000
"""A smaller preview is made in less time than a page takes to load."""
KEPT_FOR = timedelta(minutes=1)
"""How long an edit may stay unseen that leaves the directory's print as it is: a corrected digit,
a moved date. What adds, removes or imports people, or fails a number, is seen at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """The latest large preview, and of what it is."""

    seen: tuple[object, ...]
    at: datetime
    preview: Preview


_kept: WeakKeyDictionary[Store, _Kept] = WeakKeyDictionary()
"""One for each store: an officer who reads a page about 44,000 people reloads it."""


async def preview_texts(ctx: Context, draft: BulletinDraft) -> tuple[PreviewMessage, ...]:
    """Return what phones would show of a bulletin that is still being written."""
    bulletin = Bulletin(
        id=0,
        identifier="",
        event_id=0,
        status=draft.status,
        type=rules.BulletinType.ALERT,
        hazard=draft.hazard,
        colour=draft.colour,
        region_codes=draft.region_codes,
        texts=draft.texts,
        onset_at=draft.onset_at,
        expires_at=draft.expires_at,
        drafted_by=0,
    )
    return tuple(
        _message(ctx, bulletin, language, channel, 0)
        for language, text in draft.texts.items()
        if text.strip()
        for channel in ("sms", "voice")
    )


def paces(ctx: Context) -> dict[str, Pace]:
    """Return each channel's pace."""
    return {
        kind: Pace(per_second=c.per_second, lines=c.lines) for kind, c in ctx.capabilities.items()
    }


async def plan_release(
    ctx: Context, unit: Unit, bulletin: Bulletin, rule: Rule, tree: RegionTree, now: datetime
) -> Plan:
    """Return who is called. Raises Refusal(`region_unknown`)."""
    _, planned = await _planned(ctx, unit, bulletin, rule, tree, now)
    return planned


async def _planned(
    ctx: Context, unit: Unit, bulletin: Bulletin, rule: Rule, tree: RegionTree, now: datetime
) -> tuple[Mapping[int, Contact], Plan]:
    """Return the contacts as they stand, and the plan: it asks nobody who could not answer."""
    selected = [code for code in bulletin.region_codes if code in tree]
    if not selected:
        raise Refusal("region_unknown", field="regions", codes=", ".join(bulletin.region_codes[:5]))
    assignments = await load_assignments(unit, sorted(_with_superiors(tree, selected)))
    contacts = await load_contacts(unit, sorted({a.contact_id for a in assignments}))
    return contacts, plan(
        tree=tree,
        selected=selected,
        assignments=assignments,
        contacts=askable(ctx, contacts),
        rule=rule,
        hazard=bulletin.hazard,
        on=ctx.local_day(now),
    )


def _with_superiors(tree: RegionTree, selected: Iterable[str]) -> set[str]:
    codes: set[str] = set()
    for target in tree.targets(selected):
        code: str | None = target.code
        while code is not None and code in tree and code not in codes:
            codes.add(code)
            code = tree[code].parent_code
    return codes


def messages_of(
    ctx: Context, bulletin: Bulletin, people: Mapping[tuple[str, str], int]
) -> Iterable[PreviewMessage]:
    """Yield each text that the first round sends. `people`: what `reach` says of the planned."""
    merged: Counter[tuple[str, str]] = Counter()
    for (language, channel), many in people.items():
        shown = message_of(ctx, bulletin, language=language, channel=channel).language
        merged[shown, channel] += many
    for (language, channel), many in sorted(
        merged.items(), key=lambda item: (item[0][1], -item[1])
    ):
        yield _message(ctx, bulletin, language, channel, many)


def sms_parts(messages: Iterable[PreviewMessage]) -> dict[str, int]:
    """Return language → SMS parts."""
    return {m.language: m.parts for m in messages if m.channel == "sms"}


def _message(
    ctx: Context, bulletin: Bulletin, language: str, channel: str, people: int
) -> PreviewMessage:
    message = ctx.renderer.message(bulletin, language=language, channel=channel)
    return PreviewMessage(
        language=message.language,
        channel=channel,
        text=message.text,
        people=people,
        characters=count(message.text).characters,
        parts=message.parts,
    )


def _warnings(ctx: Context, bulletin: Bulletin, planned: Plan) -> Iterable[str]:
    kinds = {
        number.kind
        for contact in planned.contacts.values()
        for number in contact.numbers
        if not number.failed
    }
    needed = {channel for kind in kinds for channel in channels_of(kind)}
    for channel in sorted(needed - set(ctx.capabilities)):
        yield f"channel_missing:{channel}"
    languages = Counter(contact.language for contact in planned.contacts.values())
    for language, many in sorted(languages.items()):
        if not bulletin.texts.get(language, "").strip():
            yield f"language_missing:{language}:{many}"
