"""The bulletin's life: written, signed by a second person, released, lifted.

    draft ──submit──► submitted ──sign──► signed ──release──► released ──lift──► lifted ──┐
      ▲                  │ send back        │ send back          │  └──expire──► expired ─┼► closed
      └──────────────────┴──────────────────┘                    └──(an update)► superseded ┘
      └──discard──► discarded

A signature binds the digest of what was read: any edit after it sends the bulletin back to draft.
Drill and live never mix: their words are checked here, not only in the form (law 8).
No clock, no database; every function returns the new bulletin or raises `Refusal`.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from warnsvc.core.refusal import Refusal, Refusals

TEXT_CHARS_MAX = 500
"""Eight SMS parts: what carriers in China advise as the longest (carriers.md §0.1)."""
VALID_HOURS_MAX = 24 * 7
"""A warning that holds longer than a week is a forecast."""
REASON_CHARS_MAX = 500
DRILL_MARK = "演练"
DRILL_MARKS: Mapping[str, str] = {
    "zh": "演练",
    "en": "DRILL",
    "ug": "مانېۋىر",
    "kk-Arab": "جاتتىعۋ",
}
"""First and last word of every drill text, by language."""
_NOT_A_DRILL = re.compile(
    r"(不是|并非|非)(一次|一场|一个)?(演练|演习)"
    r"|\b(not|isn['’]t|no)( an?| the)? (drill|exercise)\b"
)
"""Words that made Hawaii run in 2018 (domain.md (g)); refused in drills."""


class BulletinStatus(StrEnum):
    """Whether people must act (CAP status)."""

    ACTUAL = "actual"
    """Real."""
    EXERCISE = "exercise"
    """A drill on real contacts."""
    TEST = "test"
    """A technical test."""


class BulletinType(StrEnum):
    """What it does to the event (CAP msgType)."""

    ALERT = "alert"
    """The first about this danger."""
    UPDATE = "update"
    """Replaces an earlier one."""
    CANCEL = "cancel"
    """Lifts an earlier one."""


class Colour(StrEnum):
    """The four warning colours, worst last."""

    BLUE = "blue"
    """Grade IV."""
    YELLOW = "yellow"
    """Grade III."""
    ORANGE = "orange"
    """Grade II."""
    RED = "red"
    """Grade I."""

    @property
    def rank(self) -> int:
        """1 for blue … 4 for red."""
        return list(Colour).index(self) + 1

    def above(self) -> "Colour":
        """The next worse colour; red stays red."""
        return list(Colour)[min(self.rank, 3)]


class BulletinState(StrEnum):
    """Where the bulletin is in its life."""

    DRAFT = "draft"
    """Being written."""
    SUBMITTED = "submitted"
    """Waiting for a second person."""
    SIGNED = "signed"
    """May be released."""
    RELEASED = "released"
    """People are being called, or have been."""
    LIFTED = "lifted"
    """Ended by an officer; those called have been told."""
    SUPERSEDED = "superseded"
    """Replaced by an update."""
    EXPIRED = "expired"
    """Its time ran out."""
    CLOSED = "closed"
    """Reported and filed."""
    DISCARDED = "discarded"
    """A draft that was thrown away; kept for the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulletin:
    """What is issued. `texts`: language → words; officers are ids.

    `recordings`: language → SHA-256 of the sound of its text, read aloud by a person.
    """

    id: int
    identifier: str
    event_id: int
    status: BulletinStatus
    type: BulletinType
    hazard: str
    colour: Colour
    region_codes: tuple[str, ...]
    texts: Mapping[str, str] = field(default_factory=dict)
    recordings: Mapping[str, str] = field(default_factory=dict)
    onset_at: datetime
    expires_at: datetime
    state: BulletinState = BulletinState.DRAFT
    drafted_by: int
    submitted_at: datetime | None = None
    signed_at: datetime | None = None
    signed_by: int | None = None
    signed_digest: str | None = None
    released_at: datetime | None = None
    released_by: int | None = None
    lifted_at: datetime | None = None
    lifted_by: int | None = None
    lift_reason: str | None = None
    references_id: int | None = None

    @property
    def is_drill(self) -> bool:
        """Whether nobody must act."""
        return self.status is not BulletinStatus.ACTUAL


def digest(bulletin: Bulletin) -> str:
    """Return the SHA-256 of what a signer reads: everything that people will be told, and where.

    Without recordings it is what it was before there were any: older signatures stay good.
    """
    document: dict[str, object] = {
        "status": bulletin.status,
        "type": bulletin.type,
        "hazard": bulletin.hazard,
        "colour": bulletin.colour,
        "regions": sorted(bulletin.region_codes),
        "texts": dict(bulletin.texts),
        "references": bulletin.references_id,
        "onset": bulletin.onset_at.astimezone(UTC).isoformat(),
        "expires": bulletin.expires_at.astimezone(UTC).isoformat(),
    }
    if bulletin.recordings:
        document["recordings"] = dict(bulletin.recordings)
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def check(bulletin: Bulletin, *, now: datetime) -> None:
    """Raise Refusals with one refusal for every field that is wrong."""
    refusals = (*_check_fields(bulletin, now), *_check_texts(bulletin))
    if refusals:
        raise Refusals(refusals)


def _check_fields(bulletin: Bulletin, now: datetime) -> Iterator[Refusal]:
    if not bulletin.hazard:
        yield Refusal("hazard_missing", field="hazard")
    if not bulletin.region_codes:
        yield Refusal("regions_missing", field="regions")
    if bulletin.expires_at <= bulletin.onset_at:
        yield Refusal("expires_before_onset", field="expires_at")
    elif bulletin.expires_at <= now:
        yield Refusal("expires_in_the_past", field="expires_at")
    elif bulletin.expires_at - now > timedelta(hours=VALID_HOURS_MAX):
        yield Refusal("valid_too_long", field="expires_at", hours=VALID_HOURS_MAX)


def _check_texts(bulletin: Bulletin) -> Iterator[Refusal]:
    if not bulletin.texts.get("zh", "").strip():
        yield Refusal("text_missing", field="text_zh")
    for language, text in bulletin.texts.items():
        name = f"text_{language}"
        if len(text) > TEXT_CHARS_MAX:
            yield Refusal("text_too_long", field=name, most=TEXT_CHARS_MAX)
        if not text.strip():
            continue
        yield from _check_mark(text, DRILL_MARKS.get(language, DRILL_MARK), name, bulletin)


def _check_mark(text: str, mark: str, name: str, bulletin: Bulletin) -> Iterator[Refusal]:
    if not bulletin.is_drill:
        found = [known for known in DRILL_MARKS.values() if _position(text, known)]
        if found:
            yield Refusal("live_says_drill", field=name, mark=found[0])
    elif _NOT_A_DRILL.search(_plain(text)):
        yield Refusal("drill_says_not_a_drill", field=name)
    elif not is_marked(text, mark):
        yield Refusal("drill_mark_missing", field=name, mark=mark)


def is_marked(text: str, mark: str) -> bool:
    """Return whether the drill mark is the first and the last word, whatever stands around it."""
    found = _position(text, mark)
    if len(found) < 2:
        return False
    plain = _plain(text)
    before, after = plain[: found[0].start()], plain[found[-1].end() :]
    return not any(character.isalnum() for character in before + after)


def _plain(text: str) -> str:
    """The text as it is compared: no case, no width, no invisible marks, Chinese without spaces."""
    seen = (c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    plain = " ".join("".join(seen).casefold().split())
    return re.sub(r"(?<=[\u4e00-\u9fff]) (?=[\u4e00-\u9fff])", "", plain)


def _position(text: str, mark: str) -> list[re.Match[str]]:
    """Where the mark stands; a Latin one as a whole word, so that a drilling rig may be named."""
    word = re.escape(_plain(mark))
    pattern = rf"(?<![a-z]){word}(?![a-z])" if mark.isascii() else word
    return list(re.finditer(pattern, _plain(text)))


def _require(bulletin: Bulletin, *states: BulletinState) -> None:
    if bulletin.state not in states:
        raise Refusal("wrong_state", state=bulletin.state.value)


def edit(bulletin: Bulletin, changed: Bulletin) -> Bulletin:
    """Return the edited draft; an earlier signature is void.

    `changed.drafted_by` is whoever edited: he is the author now, and cannot sign his own words.
    """
    _require(bulletin, BulletinState.DRAFT, BulletinState.SUBMITTED, BulletinState.SIGNED)
    assert changed.id == bulletin.id, "an edit stays with its bulletin"
    return send_back(replace(changed, state=bulletin.state))


def outdated_recordings(before: Bulletin, after: Bulletin) -> tuple[str, ...]:
    """Return the languages whose recording says something else than the text does by now."""
    return tuple(
        language
        for language in after.recordings
        if after.texts.get(language, "") != before.texts.get(language, "")
    )


def send_back(bulletin: Bulletin) -> Bulletin:
    """Return it to its author, unsigned."""
    _require(bulletin, BulletinState.DRAFT, BulletinState.SUBMITTED, BulletinState.SIGNED)
    return replace(
        bulletin,
        state=BulletinState.DRAFT,
        submitted_at=None,
        signed_at=None,
        signed_by=None,
        signed_digest=None,
    )


def discard(bulletin: Bulletin) -> Bulletin:
    """Throw a draft away; the row stays."""
    _require(bulletin, BulletinState.DRAFT, BulletinState.SUBMITTED, BulletinState.SIGNED)
    return replace(send_back(bulletin), state=BulletinState.DISCARDED)


def submit(bulletin: Bulletin, *, now: datetime) -> Bulletin:
    """Hand the draft to a second person. Raises Refusals when it is not complete."""
    _require(bulletin, BulletinState.DRAFT)
    check(bulletin, now=now)
    return replace(bulletin, state=BulletinState.SUBMITTED, submitted_at=now)


def sign(bulletin: Bulletin, *, officer: int, two_person: bool, now: datetime) -> Bulletin:
    """Sign what was read. With `two_person` the author cannot. Source: domain.md (b), S13."""
    _require(bulletin, BulletinState.SUBMITTED)
    if two_person and officer == bulletin.drafted_by:
        raise Refusal("signer_is_author")
    check(bulletin, now=now)
    return replace(
        bulletin,
        state=BulletinState.SIGNED,
        signed_at=now,
        signed_by=officer,
        signed_digest=digest(bulletin),
    )


def confirmation_phrase(bulletin: Bulletin, place: str) -> str:
    """Return what must be typed to release: the place for a live one, the drill mark for a drill.

    Live and drill never share a prompt (Hawaii 2018, domain.md (g)).
    """
    return DRILL_MARK if bulletin.is_drill else f"发布{place}"


def release(
    bulletin: Bulletin, *, officer: int, typed: str, phrase: str, now: datetime
) -> Bulletin:
    """Release what was signed, and nothing else."""
    _require(bulletin, BulletinState.SIGNED)
    if "".join(typed.split()) != "".join(phrase.split()):
        raise Refusal("phrase_differs", field="phrase", phrase=phrase)
    if bulletin.signed_digest != digest(bulletin):
        raise Refusal("signature_void")
    check(bulletin, now=now)
    return replace(bulletin, state=BulletinState.RELEASED, released_at=now, released_by=officer)


def lift(bulletin: Bulletin, *, officer: int, reason: str, now: datetime) -> Bulletin:
    """End it early. The reason goes out and into the ledger (national `note`, domain.md (b))."""
    _require(bulletin, BulletinState.RELEASED, BulletinState.EXPIRED)
    reason = reason.strip()
    if not reason:
        raise Refusal("reason_missing", field="reason")
    if len(reason) > REASON_CHARS_MAX:
        raise Refusal("reason_too_long", field="reason", most=REASON_CHARS_MAX)
    return replace(
        bulletin, state=BulletinState.LIFTED, lifted_at=now, lifted_by=officer, lift_reason=reason
    )


def expire(bulletin: Bulletin, *, now: datetime) -> Bulletin:
    """Let it run out."""
    _require(bulletin, BulletinState.RELEASED)
    assert now >= bulletin.expires_at, "expired before its time"
    return replace(bulletin, state=BulletinState.EXPIRED)


def supersede(bulletin: Bulletin) -> Bulletin:
    """Let an update that has been released take its place."""
    _require(bulletin, BulletinState.RELEASED)
    return replace(bulletin, state=BulletinState.SUPERSEDED)


def close(bulletin: Bulletin) -> Bulletin:
    """File it."""
    _require(bulletin, BulletinState.LIFTED, BulletinState.EXPIRED, BulletinState.SUPERSEDED)
    return replace(bulletin, state=BulletinState.CLOSED)
