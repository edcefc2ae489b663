"""Pages from templates: autoescaped, strict about what is missing, in the reader's language.

Everything a template may use is handed to it by name; the values that every page needs (who is
there, what waits for a human, the clock) are added here. It never decides who may see a page.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from warnsvc.localtime import LocalTime
from warnsvc.resource import locale_dir, templates_dir
from warnsvc.settings import Settings
from warnsvc.web.query.badge import Badges, load_badges
from warnsvc.web.sentence import said_sentence, sentence
from warnsvc.web.show import Show
from warnsvc.web.starter import Starter
from warnsvc.words import LANGUAGES, Words

if TYPE_CHECKING:
    from warnsvc.web.visit import Visit

LANGUAGE_NAMES = {"zh": "中文", "en": "English"}
HTML_LANGUAGE = {"zh": "zh-Hans-CN", "en": "en"}


class Pages:
    """The templates of the console and what all of them share."""

    def __init__(self, settings: Settings, *, words: Words, folder: Path) -> None:
        self.words = words
        self.local = LocalTime(settings.zone)
        self._settings = settings
        self._environment = Environment(
            loader=FileSystemLoader(folder),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    @classmethod
    def load(cls, settings: Settings) -> "Pages":
        """Read templates and translations from where this installation keeps them."""
        return cls(settings, words=Words.load(locale_dir()), folder=templates_dir() / "web")

    async def render(self, visit: "Visit", template: str, values: Mapping[str, Any]) -> str:
        """Return the HTML of a page."""
        badges = Badges()
        if visit.session is not None:
            async with visit.ctx.store.view() as view:
                badges = await load_badges(view)
        return self._environment.get_template(template).render(
            {**self._shared(visit), "badges": badges, **values}
        )

    def show(self, visit: "Visit") -> Show:
        """Return what shows values to this reader."""
        return Show(visit.language, visit.words, self.local, visit.now)

    def _shared(self, visit: "Visit") -> dict[str, Any]:
        words = visit.words
        return {
            "_": words,
            "show": self.show(visit),
            "sentence": lambda refusal: sentence(refusal, words),
            "said": said_sentence(visit.query("said"), words),
            "language": visit.language,
            "html_language": HTML_LANGUAGE[visit.language],
            "other_languages": [
                (code, LANGUAGE_NAMES[code]) for code in LANGUAGES if code != visit.language
            ],
            "session": visit.session,
            "officer": None if visit.session is None else visit.session.officer,
            "csrf": "" if visit.session is None else visit.session.csrf_token,
            "path": visit.request.path,
            "path_qs": visit.request.path_qs,
            "now": visit.now,
            "settings": self._settings,
        }


PAGES = web.AppKey("pages", Pages)
STARTER = web.AppKey("starter", Starter)
