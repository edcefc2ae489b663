"""Where the phones page finds its templates and its words.

The Chinese sentence is the key, `locale/en/*.po` holds the English; a sentence that is not there is
shown in Chinese. The folder is `templates/` of a checkout or `warnsvc/templates/` of an installed
package, found from where this file lies, without importing the service.
"""

from collections.abc import Callable
from pathlib import Path

from babel.messages.pofile import read_po

LANGUAGES = {"zh": "中文", "en": "English"}
"""The languages of the page, each in its own words; the first one is the default."""

Translate = Callable[..., str]


class TemplatesMissing(Exception):
    """The phones page cannot be shown; the message says where its templates were sought."""


def templates_folder(given: Path | None = None) -> Path:
    """Return the folder that holds `phones/` and `locale/`. Raises TemplatesMissing."""
    root = Path(__file__).resolve().parents[2]
    candidates = [given] if given else [root / "warnsvc" / "templates", root / "templates"]
    for candidate in candidates:
        if (candidate / "phones").is_dir():
            return candidate
    sought = " or ".join(str(candidate / "phones") for candidate in candidates)
    raise TemplatesMissing(f"there is no {sought}")


def translations(folder: Path) -> dict[str, Translate]:
    """Return the `_` of each language: `_("还有 {count} 部", count=3)`."""
    return {language: _translate(_table(folder / "locale" / language)) for language in LANGUAGES}


def _translate(table: dict[str, str]) -> Translate:
    def translate(sentence: str, /, **params: object) -> str:
        found = table.get(sentence, sentence)
        return found.format(**params) if params else found

    return translate


def _table(folder: Path) -> dict[str, str]:
    table: dict[str, str] = {}
    for path in sorted(folder.glob("*.po")):
        with path.open("rb") as file:
            catalog = read_po(file)
        table |= {
            str(message.id): str(message.string)
            for message in catalog
            if message.id and message.string and not message.fuzzy
        }
    return table
