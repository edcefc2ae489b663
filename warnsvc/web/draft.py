"""The bulletin form: what was typed, what it means, and every field that is wrong.

    fields ──read──► DraftForm (kept as typed) ──► BulletinDraft, or refusals by field

All faults are told at once: what cannot be read is named here, what breaks a rule by the core, and
what no carrier can send by them. What was typed is never changed and never lost.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from warnsvc.core.bulletin import Bulletin, BulletinStatus, Colour
from warnsvc.core.hazard import HAZARDS
from warnsvc.core.refusal import Refusal, Refusals
from warnsvc.localtime import LocalTime
from warnsvc.service.bulletin import BulletinDraft
from warnsvc.service.context import Context
from warnsvc.service.draft import broken_rules
from warnsvc.web.form import Form

LANGUAGES = ("zh", "ug", "kk-Arab", "en")
"""Languages of texts, in the order of the form."""
REGIONS_MAX = 5_000
"""More than this is chosen by ticking the region above."""
_FIELDS = ("status", "hazard", "colour", "regions", "onset_at", "expires_at")
FIELD_ORDER = (*_FIELDS, *(f"text_{language}" for language in LANGUAGES))
"""The order in which the summary names wrong fields: as they stand on the page."""
_FALLBACK_LENGTH = timedelta(hours=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftForm:
    """The fields as they were typed."""

    status: str = ""
    hazard: str = ""
    colour: str = ""
    regions: tuple[str, ...] = ()
    onset_at: str = ""
    expires_at: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)


def read_draft_form(form: Form) -> DraftForm:
    """Return the fields of a posted form."""
    return DraftForm(
        status=form.text("status"),
        hazard=form.text("hazard"),
        colour=form.text("colour"),
        regions=tuple(code.strip() for code in form.many("regions") if code.strip())[:REGIONS_MAX],
        onset_at=form.text("onset_at"),
        expires_at=form.text("expires_at"),
        texts={language: form.text(f"text_{language}") for language in LANGUAGES},
    )


def draft_form_of(bulletin: Bulletin, local: LocalTime) -> DraftForm:
    """Return the form of a bulletin that is already written."""
    return DraftForm(
        status=bulletin.status.value,
        hazard=bulletin.hazard,
        colour=bulletin.colour.value,
        regions=bulletin.region_codes,
        onset_at=local.form(bulletin.onset_at),
        expires_at=local.form(bulletin.expires_at),
        texts={language: bulletin.texts.get(language, "") for language in LANGUAGES},
    )


def new_draft_form(local: LocalTime, now: datetime) -> DraftForm:
    """Return the form of a new bulletin: from now, for six hours; nothing else is guessed."""
    return DraftForm(
        onset_at=local.form(now),
        expires_at=local.form(now + _FALLBACK_LENGTH),
        texts=dict.fromkeys(LANGUAGES, ""),
    )


def guess(form: DraftForm, *, local: LocalTime, now: datetime) -> BulletinDraft:
    """Return what the form means so far, faults passed over: to be shown, never to be kept."""
    return _read(form, local=local, now=now, known=frozenset(form.regions), wrong={})


def understand(
    ctx: Context,
    form: DraftForm,
    *,
    local: LocalTime,
    now: datetime,
    known_regions: Iterable[str],
) -> BulletinDraft:
    """Return what the form means. Raises Refusals with one refusal for every wrong field."""
    wrong: dict[str, Refusal] = {}
    draft = _read(form, local=local, now=now, known=frozenset(known_regions), wrong=wrong)
    for name, refusal in broken_rules(ctx, draft, now=now).items():
        if name in wrong or (name.startswith("text_") and "status" in wrong and form.texts["zh"]):
            continue  # a fallback value is to blame, not the officer
        if name == "expires_at" and "onset_at" in wrong:
            continue
        wrong[name] = refusal
    if wrong:
        raise Refusals(tuple(wrong[name] for name in FIELD_ORDER if name in wrong))
    return draft


def _read(
    form: DraftForm,
    *,
    local: LocalTime,
    now: datetime,
    known: frozenset[str],
    wrong: dict[str, Refusal],
) -> BulletinDraft:
    """Read every field; what cannot be read gets a stand-in and a refusal in `wrong`."""
    return BulletinDraft(
        status=_status(form, wrong),
        hazard=_hazard(form, wrong),
        colour=_colour(form, wrong),
        region_codes=_regions(form, known, wrong),
        texts=form.texts,
        onset_at=_instant(form.onset_at, "onset_at", local, wrong) or now,
        expires_at=_instant(form.expires_at, "expires_at", local, wrong) or now + _FALLBACK_LENGTH,
    )


def _status(form: DraftForm, wrong: dict[str, Refusal]) -> BulletinStatus:
    """Return the status. It is never guessed: a form without it is refused."""
    if form.status not in {BulletinStatus.ACTUAL, BulletinStatus.EXERCISE}:
        wrong["status"] = Refusal("status_missing", field="status")
        return BulletinStatus.EXERCISE
    return BulletinStatus(form.status)


def _hazard(form: DraftForm, wrong: dict[str, Refusal]) -> str:
    if form.hazard not in HAZARDS:
        wrong["hazard"] = Refusal("hazard_missing", field="hazard")
    return form.hazard


def _colour(form: DraftForm, wrong: dict[str, Refusal]) -> Colour:
    if form.colour not in set(Colour):
        wrong["colour"] = Refusal("colour_missing", field="colour")
        return Colour.BLUE
    return Colour(form.colour)


def _regions(form: DraftForm, known: frozenset[str], wrong: dict[str, Refusal]) -> tuple[str, ...]:
    unknown = [code for code in form.regions if code not in known]
    if unknown:
        codes = ", ".join(code[:24] for code in unknown[:5])
        wrong["regions"] = Refusal("region_unknown", field="regions", codes=codes)
    return form.regions


def _instant(text: str, name: str, local: LocalTime, wrong: dict[str, Refusal]) -> datetime | None:
    if not text.strip():
        wrong[name] = Refusal("time_missing", field=name)
        return None
    try:
        return local.read_local(text)
    except (ValueError, OverflowError):
        wrong[name] = Refusal("time_malformed", field=name)
        return None
