"""Approved templates: which one carries a text, and what goes into its variables.

    [[template]]                          one for each form and language that is to go out
    form = "call"                         call, inform, stand_down, lift or test
    language = "zh"
    code = "SMS_123456789"
    text = "${issuer}发布${hazard}${colour}预警：${text}。收到请回复1，无法到岗请回复2。"
    drill = false                         left out: for drills and real ones alike

    [template.variables]
    issuer = "issuer"                     our field of that name, 35 characters at most
    hazard = "hazard"
    colour = "colour"
    text = { field = "text", limit = 35 }

    words ──fill──► Filled(code, values, text)       what is sent
                └─► Unsendable                       why it cannot be

`check` and `send` both ask `fill`, so a text that was judged sendable when it was written is sent.
`text` in the file is the approved text as the provider shows it: with it a wrong variable name is
found at start, and parts can be counted. It never shortens a value: half a warning is worse than
another channel. Only a list of names is cut where it must be, and then says how many there are.
A text with such a list needs a template that has a place for it (`listed`), beside the one without.
Source: carriers.md §4.1; the provider's template and variable rules.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from channels import sendable
from channels.base import Obstacle, Unsendable, Words

FORMS: Final = ("call", "inform", "stand_down", "lift", "test")
NEITHER: Final = "test"
"""The form of a test of the carrier, which is neither a drill nor the real thing."""
FIELDS: Final = frozenset(
    {"issuer", "hazard", "colour", "text", "number", "released", "listed", "kind", "message"}
)
"""What a variable can be filled with: the fields that come with a text; `kind`, which says drill or
warning; and `message`, the whole text as a phone would show it without a template."""
SAYS_DRILL: Final = frozenset({"kind", "message"})
"""Fields that differ between a drill and the real thing, whatever the form. `text` does so in a
call: what an officer writes for a drill begins and ends with the word."""

OFFICERS: Final = frozenset({"text", "message"})
"""Fields that hold what the officer wrote. A call without them would warn of nothing."""

LIMIT_DEFAULT: Final = 35
"""Characters in a variable of a notification, unless more were granted."""
LIMIT_MAX: Final = 500
"""No template is longer, so no variable can be."""
TEMPLATES_MAX: Final = 200
VARIABLES_MAX: Final = 20
FILE_BYTES_MAX: Final = 256 * 1024

_KIND: Final[Mapping[str, tuple[str, str]]] = {
    "zh": ("预警", "演练"),
    "en": ("warning", "DRILL"),
    "ug": ("ئاگاھلاندۇرۇش", "مەشىق"),
    "kk-Arab": ("ەسكەرتۋ", "جاتتىعۋ"),
}
"""What `kind` says: of the real thing, and of a drill."""
_NOTHING: Final = {"zh": "无"}
"""A variable must not be empty."""
LISTS: Final = frozenset({"listed", "message"})
"""Fields that carry the names of places."""
_SEPARATOR: Final = {"zh": "、", "en": ", "}
_AND_MORE: Final[Mapping[str, str]] = {
    "zh": "等{n}处",
    "en": " and others, {n} in all",
    "ug": " قاتارلىق {n}",
    "kk-Arab": " قاتارلى {n}",
}

_PLACE = re.compile(r"\$\{(\w+)\}")
words_of, unsendable = sendable.words_of, sendable.refusal
"""What `check` would be asked about a text that is being sent, and what `send` makes of a no."""


class TemplateFault(ValueError):
    """The templates file cannot be used; the text says which file, table and field, and what to do.

    It is a ValueError because that is what stops the start with the channel's name.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One place in a template: which of our fields fills it, and how long it may be."""

    name: str
    source: str
    limit: int = LIMIT_DEFAULT
    otherwise: str = ""
    """Said when our field is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One approved template. `drill`: only for drills (True), only for real ones, or for both."""

    form: str
    language: str
    code: str
    text: str
    variables: tuple[Variable, ...]
    drill: bool | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    """Calls only: key → code of what is said after it; `again` says the text once more."""
    bye: str = ""
    """Calls only: code of what is said at the end."""

    @property
    def lists(self) -> bool:
        """Whether it has a place for names."""
        return any(variable.source in LISTS for variable in self.variables)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A template with its values. `text`: what a phone shows or says, without the sign name."""

    template: Template
    values: Mapping[str, str]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a product allows: characters in a whole text, links and phone numbers in values."""

    chars_max: int
    calls: bool = False
    """Whether templates may have keys."""


class Templates:
    """The approved templates of one carrier account."""

    def __init__(self, templates: Sequence[Template], limits: Limits) -> None:
        self._templates = tuple(templates)
        self.limits = limits

    @classmethod
    def load(cls, path: str, limits: Limits) -> "Templates":
        """Read a templates file. Raises TemplateFault."""
        return cls(_read(path, limits), limits)

    @property
    def languages(self) -> frozenset[str]:
        """Languages in which somebody can be asked for an answer."""
        return frozenset(t.language for t in self._templates if t.form == FORMS[0])

    @property
    def asks_for_keys(self) -> bool:
        """Whether somebody can answer by a key."""
        return any(template.keys for template in self._templates)

    @property
    def again_keys(self) -> frozenset[str]:
        """Keys that only ask to hear the text again. A key that is an answer anywhere is not one:
        a report of a call does not say which template was spoken."""
        meant = [pair for template in self._templates for pair in template.keys.items()]
        answers = {key for key, code in meant if code != AGAIN}
        return frozenset(key for key, _ in meant) - answers

    def fill(self, words: Words) -> Filled | Unsendable:
        """Return what would be sent, or why it cannot be."""
        drill = bool(words.fields.get("drill", False))
        template = self._template(words, drill=drill)
        if isinstance(template, Unsendable):
            return template
        values: dict[str, str] = {}
        for variable in template.variables:
            value = _value(variable, words, drill=drill)
            if len(value) > variable.limit:
                return Unsendable(
                    obstacle=Obstacle.FIELD_TOO_LONG,
                    field=variable.source,
                    limit=variable.limit,
                    given=len(value),
                )
            if sendable.has_link(value):
                return Unsendable(obstacle=Obstacle.LINK, field=variable.source)
            values[variable.name] = value
        text = _PLACE.sub(lambda place: values[place[1]], template.text)
        if len(text) > self.limits.chars_max:
            return Unsendable(
                obstacle=Obstacle.TOO_LONG, limit=self.limits.chars_max, given=len(text)
            )
        return Filled(template=template, values=values, text=text)

    def _template(self, words: Words, *, drill: bool) -> Template | Unsendable:
        """Return the template for this text: with a place for names if it has any, or without."""
        fitting = [
            t
            for t in self._templates
            if (t.form, t.language) == (words.form, words.language) and t.drill in (None, drill)
        ]
        names = bool(words.fields.get("listed"))
        for template in sorted(fitting, key=lambda one: one.lists):
            if template.lists or not names:
                return template
        return Unsendable(obstacle=Obstacle.NO_TEMPLATE, field="listed" if fitting else "")


def _value(variable: Variable, words: Words, *, drill: bool) -> str:
    match variable.source:
        case "message":
            value = words.text
        case "kind":
            value = _KIND.get(words.language, _KIND["en"])[drill]
        case "listed":
            value = _listed(words, variable.limit)
        case source:
            value = str(words.fields.get(source, ""))
    return value or variable.otherwise or _NOTHING.get(words.language, "-")


def _listed(words: Words, limit: int) -> str:
    """Return the names, or as many as fit and how many there are."""
    shown, names = str(words.fields.get("listed", "")), words.fields.get("listing")
    if len(shown) <= limit or not isinstance(names, Sequence) or isinstance(names, str):
        return shown
    more = _AND_MORE.get(words.language, _AND_MORE["en"]).format(n=len(names))
    separator = _SEPARATOR.get(words.language, "، ")
    for many in range(len(names) - 1, 0, -1):
        cut = separator.join(str(name) for name in names[:many]) + more
        if len(cut) <= limit:
            return cut
    return more.strip()


# --- the file -------------------------------------------------------------------------------------

_KNOWN = frozenset({"form", "language", "code", "text", "variables", "drill"})
_KNOWN_OF_CALLS = _KNOWN | {"keys", "bye"}
_KNOWN_OF_VARIABLE = frozenset({"field", "limit", "otherwise"})
KEYS: Final = frozenset("0123456789")
AGAIN: Final = "again"
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the file we are, for the sentence that stops the start."""

    file: str
    table: str

    def fault(self, name: str, what: str) -> NoReturn:
        raise TemplateFault(f"{self.file}: {self.table}: {name}: {what}")


def _read(path: str, limits: Limits) -> list[Template]:
    file = Path(path)
    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            raise TemplateFault(f"{path}: the file is larger than {FILE_BYTES_MAX // 1024} KiB")
        tables = tomllib.loads(file.read_text(encoding="utf-8")).get("template")
    except OSError as error:
        raise TemplateFault(
            f"{path}: {error.strerror}; templates_file names the file with the approved templates"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TemplateFault(f"{path}: not a TOML file: {error}") from error
    if not isinstance(tables, list) or not 0 < len(tables) <= TEMPLATES_MAX:
        raise TemplateFault(f"{path}: write one [[template]] table for each approved template")
    found: list[Template] = []
    for number, table in enumerate(tables, 1):
        place = _Place(path, f"[[template]] {number}")
        template = _template(table, place, limits)
        if any(_clash(template, other) for other in found):
            place.fault("form", f"there is another one for {template.form} in {template.language}")
        found.append(template)
    return found


def _clash(one: Template, other: Template) -> bool:
    same = (one.form, one.language, one.lists) == (other.form, other.language, other.lists)
    return same and (one.drill is None or other.drill is None or one.drill == other.drill)


def _template(table: Any, place: _Place, limits: Limits) -> Template:
    if not isinstance(table, dict):
        place.fault("template", "must be a table: [[template]]")
    unknown = sorted(set(table) - (_KNOWN_OF_CALLS if limits.calls else _KNOWN))
    if unknown:
        place.fault(unknown[0], "is not known here; take it out")
    form, text = _text(table, "form", place), _text(table, "text", place)
    if form not in FORMS:
        place.fault("form", f"must be one of {', '.join(FORMS)}")
    if len(text) > limits.chars_max:
        place.fault("text", f"is longer than the {limits.chars_max} characters of a template")
    drill = table.get("drill")
    if drill is not None and not isinstance(drill, bool):
        place.fault("drill", "must be true or false, or be left out")
    variables = _variables(table.get("variables", {}), text, place)
    if form == FORMS[0] and not {v.source for v in variables} & OFFICERS:
        place.fault("variables", "none is filled with text: what the officer writes is lost")
    if drill is None and form != NEITHER and not _tells_drills(form, variables):
        place.fault(
            "drill",
            "nothing in this text tells a drill from the real thing; use a variable filled with"
            " kind, or write one template with drill = true and one with drill = false",
        )
    return Template(
        form=form,
        language=_text(table, "language", place),
        code=_code(table.get("code"), "code", place),
        text=text,
        variables=variables,
        drill=drill,
        keys=_keys(table.get("keys", {}), place),
        bye=_code(table["bye"], "bye", place) if "bye" in table else "",
    )


def _tells_drills(form: str, variables: Sequence[Variable]) -> bool:
    sources = {variable.source for variable in variables}
    return bool(sources & SAYS_DRILL) or (form == FORMS[0] and "text" in sources)


def _variables(tables: Any, text: str, place: _Place) -> tuple[Variable, ...]:
    if not isinstance(tables, dict) or len(tables) > VARIABLES_MAX:
        place.fault("variables", f"must be a table of at most {VARIABLES_MAX} variables")
    places = set(_PLACE.findall(text))
    missing = sorted(places - set(tables))
    if missing:
        place.fault("variables", f"say which of our fields fills ${{{missing[0]}}} of the text")
    unused = sorted(set(tables) - places)
    if unused:
        place.fault(f"variables.{unused[0]}", f"the text has no ${{{unused[0]}}}")
    return tuple(_variable(name, value, place) for name, value in tables.items())


def _variable(name: str, value: Any, place: _Place) -> Variable:
    where = f"variables.{name}"
    table = {"field": value} if isinstance(value, str) else value
    if not isinstance(table, dict) or set(table) - _KNOWN_OF_VARIABLE:
        place.fault(where, 'write "field" or { field = "…", limit = 35, otherwise = "…" }')
    source, limit = table.get("field"), table.get("limit", LIMIT_DEFAULT)
    otherwise = table.get("otherwise", "")
    if source not in FIELDS:
        place.fault(f"{where}.field", f"must be one of {', '.join(sorted(FIELDS))}")
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= LIMIT_MAX:
        place.fault(f"{where}.limit", f"must be a number of characters from 1 to {LIMIT_MAX}")
    if not isinstance(otherwise, str) or len(otherwise) > limit:
        place.fault(f"{where}.otherwise", f"must be a text of at most {limit} characters")
    return Variable(name=name, source=source, limit=limit, otherwise=otherwise)


def _keys(table: Any, place: _Place) -> dict[str, str]:
    if not isinstance(table, dict) or not KEYS.issuperset(table):
        place.fault("keys", 'must be a table of keys, such as { "1" = "TTS_1", "9" = "again" }')
    return {
        key: AGAIN if value == AGAIN else _code(value, f"keys.{key}", place)
        for key, value in table.items()
    }


def _text(table: Mapping[str, Any], name: str, place: _Place) -> str:
    value = table.get(name)
    if not isinstance(value, str) or not value.strip():
        place.fault(name, "is missing; write it as a text")
    return value


def _code(value: Any, name: str, place: _Place) -> str:
    if not isinstance(value, str) or not _CODE.fullmatch(value):
        place.fault(name, "must be the code the provider gave it, such as SMS_123456789")
    return value
