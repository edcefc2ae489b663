"""Words in the language of whoever reads: the Chinese sentence is the key, .po files hold the rest.

    words = Words.load(locale_dir())
    _ = words.language("en")
    _("还有 {count} 个村未应答", count=12)      →  "12 villages have not answered"

A sentence that nobody has translated is shown in Chinese, which every duty officer reads; the tests
name it by file and line. `mark` marks a sentence that is translated later, where it is looked up in
a table. Messages to villagers are templates of their own (`warnsvc.render`), never these words.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from babel.messages.pofile import read_po

SOURCE_LANGUAGE = "zh"
"""The language of the keys."""

LANGUAGES = ("zh", "en")
"""The languages of the surface, the first one first."""

PO_FILES_MAX = 50
"""A folder with more is not a folder of translations."""

Translate = Callable[..., str]
"""`_("文字 {name}", name=…)`: plain text in, plain text out; Jinja escapes it afterwards."""


class WordsFault(Exception):
    """The translations contradict themselves or cannot be read."""


class Words:
    """The sentences of every language."""

    def __init__(self, tables: Mapping[str, Mapping[str, str]]) -> None:
        self._tables = tables

    @classmethod
    def load(cls, folder: Path) -> "Words":
        """Read every `<language>/*.po` below `folder`. Raises WordsFault."""
        languages = [path for path in sorted(folder.iterdir()) if path.is_dir()]
        return cls({path.name: _read_language(path) for path in languages})

    def gettext(self, language: str, sentence: str, /, **params: object) -> str:
        """Return the sentence in a language, its `{name}` places filled in."""
        found = self._tables.get(language, {}).get(sentence, sentence)
        return found.format(**params) if params else found

    def language(self, language: str) -> Translate:
        """Return the `_` of one language."""

        def translate(sentence: str, /, **params: object) -> str:
            return self.gettext(language, sentence, **params)

        return translate

    def table(self, language: str) -> Mapping[str, str]:
        """Return every translated sentence of a language."""
        return self._tables.get(language, {})


def mark(sentence: str, /) -> str:
    """Return the sentence as it is; it is translated where it is shown."""
    return sentence


def best_language(accepted: str, default: str = SOURCE_LANGUAGE) -> str:
    """Return the language that an `Accept-Language` header asks for, of those we have."""
    for wish in accepted.split(","):
        short = wish.partition(";")[0].strip().partition("-")[0].lower()
        if short in LANGUAGES:
            return short
    return default


def _read_language(folder: Path) -> dict[str, str]:
    """Return sentence → translation of one language; several files, so that several can write."""
    paths = sorted(folder.glob("*.po"))
    assert len(paths) <= PO_FILES_MAX, f"{folder} holds {len(paths)} .po files"
    table: dict[str, str] = {}
    for path in paths:
        for sentence, translation in _read_file(path).items():
            if table.setdefault(sentence, translation) != translation:
                raise WordsFault(f"{path}: {sentence!r} is translated otherwise in another file")
    return table


def _read_file(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        try:
            catalog = read_po(file, abort_invalid=True)
        except Exception as fault:
            raise WordsFault(f"{path} cannot be read: {fault}") from fault
    return {
        str(message.id): str(message.string)
        for message in catalog
        if message.id and message.string and not message.fuzzy
    }
