"""Every sentence that the surface says is also there in English."""

import ast
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from jinja2 import Environment
from jinja2.ext import extract_from_ast

from warnsvc.resource import locale_dir, templates_dir
from warnsvc.words import LANGUAGES, SOURCE_LANGUAGE, Words, WordsFault, best_language, mark

ROOT = Path(__file__).resolve().parent.parent

PAGE_FOLDERS = ("web", "phones")
"""Templates of pages. Messages (sms, voice) have a folder a language and no `_`."""

PLACES = re.compile(r"{(\w+)[^}]*}")
CHINESE = re.compile(r"[\u3400-\u9fff]")
FUNCTIONS = {"_", "mark", "words"}


def sentences_in_code() -> Iterator[tuple[str, str]]:
    """Yield place and sentence of every `_("…")` and `mark("…")` in Python."""
    for package in ("warnsvc", "channels", "contacts"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and (sentence := marked(node)):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", sentence


def marked(call: ast.Call) -> str | None:
    """Return the sentence of a call of `_` or `mark`, also as a method or attribute."""
    name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    if name not in FUNCTIONS or not call.args or not isinstance(call.args[0], ast.Constant):
        return None
    return call.args[0].value if isinstance(call.args[0].value, str) else None


def sentences_in_pages() -> Iterator[tuple[str, str]]:
    """Yield place and sentence of every `{{ _("…") }}` in templates of pages."""
    for path in pages():
        tree = Environment(extensions=["jinja2.ext.do"]).parse(path.read_text(encoding="utf-8"))
        for line, _, message in extract_from_ast(tree, ("_",)):
            sentence = message[0] if isinstance(message, tuple) else message
            if sentence:
                yield f"{path.relative_to(ROOT)}:{line}", sentence


def pages() -> list[Path]:
    return [
        path
        for folder in PAGE_FOLDERS
        for pattern in ("*.html", "*.svg")
        for path in sorted((templates_dir() / folder).rglob(pattern))
    ]


def test_every_sentence_of_the_surface_is_translated() -> None:
    words = Words.load(locale_dir())
    used = [*sentences_in_code(), *sentences_in_pages()]

    missing = [
        f"{place}: {language}: {sentence}"
        for language in LANGUAGES
        if language != SOURCE_LANGUAGE
        for place, sentence in used
        if CHINESE.search(sentence) and sentence not in words.table(language)
    ]

    assert not missing, f"{len(missing)} not translated:\n" + "\n".join(missing)


def test_a_translation_has_the_same_places_to_fill_in() -> None:
    words = Words.load(locale_dir())

    wrong = [
        f"{language}: {sentence} → {translation}"
        for language in LANGUAGES
        for sentence, translation in words.table(language).items()
        if set(PLACES.findall(sentence)) != set(PLACES.findall(translation))
    ]

    assert not wrong, "\n".join(wrong)


def test_no_english_sentence_is_chinese() -> None:
    table = Words.load(locale_dir()).table("en")

    wrong = [translation for translation in table.values() if CHINESE.search(translation)]

    assert not [each for each in wrong if each not in {"中文", "简体中文"}], "\n".join(wrong)


def test_no_translation_is_left_unsure_or_empty() -> None:
    unsure = [
        f"{path.relative_to(ROOT)}:{message.lineno}: {message.id}"
        for path in sorted(locale_dir().rglob("*.po"))
        for message in read_po(io.BytesIO(path.read_bytes()))
        if message.id and (message.fuzzy or not message.string)
    ]

    assert not unsure, "\n".join(unsure)


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(templates_dir())))
def test_a_page_says_nothing_in_chinese_that_cannot_be_translated(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    without_comments = re.sub(r"{#.*?#}", blanked, source, flags=re.DOTALL)
    without_expressions = re.sub(r"{{.*?}}|{%.*?%}", blanked, without_comments, flags=re.DOTALL)

    bare = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for number, line in enumerate(without_expressions.splitlines(), 1)
        if CHINESE.search(line) and 'lang="zh' not in line
    ]

    assert not bare, "\n".join(bare)


def blanked(match: re.Match[str]) -> str:
    return "\n" * match.group().count("\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "en").mkdir()
    write(
        tmp_path / "en" / "console.po", {"还有 {count} 个村未应答": "{count} villages are silent"}
    )
    return tmp_path


def write(path: Path, sentences: dict[str, str]) -> None:
    head = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\n'
    body = "\n".join(f'msgid "{key}"\nmsgstr "{value}"\n' for key, value in sentences.items())
    path.write_text(head + body, encoding="utf-8")


def test_a_sentence_is_said_in_the_readers_language_with_its_places_filled(folder: Path) -> None:
    words = Words.load(folder)

    sentence = "还有 {count} 个村未应答"

    assert words.gettext("en", sentence, count=12) == "12 villages are silent"
    assert words.gettext("zh", sentence, count=12) == "还有 12 个村未应答"
    assert words.language("en")(sentence, count=1) == "1 villages are silent"


def test_what_nobody_translated_is_said_in_chinese(folder: Path) -> None:
    words = Words.load(folder)

    assert words.gettext("en", "解除") == "解除"
    assert words.gettext("ug", "解除") == "解除"


def test_braces_in_a_sentence_without_places_stay(folder: Path) -> None:
    assert Words.load(folder).gettext("zh", "写成 {name}") == "写成 {name}"


def test_several_files_add_up_and_may_agree(folder: Path) -> None:
    write(
        folder / "en" / "errors.po",
        {"解除": "Lift", "还有 {count} 个村未应答": "{count} villages are silent"},
    )

    table = Words.load(folder).table("en")

    assert set(table) == {"解除", "还有 {count} 个村未应答"}


def test_two_files_that_translate_otherwise_are_refused(folder: Path) -> None:
    write(folder / "en" / "errors.po", {"还有 {count} 个村未应答": "{count} villages to go"})

    with pytest.raises(WordsFault, match="otherwise"):
        Words.load(folder)


def test_a_damaged_file_is_named(folder: Path) -> None:
    (folder / "en" / "errors.po").write_text('msgid "解除"\nmsgid oops\n', encoding="utf-8")

    with pytest.raises(WordsFault, match=r"errors\.po"):
        Words.load(folder)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("en-GB,en;q=0.9", "en"),
        ("fr,en;q=0.5,zh;q=0.1", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("fr", "zh"),
        ("", "zh"),
    ],
)
def test_a_browser_is_answered_in_the_first_language_that_we_have(
    accepted: str, language: str
) -> None:
    assert best_language(accepted) == language


def test_a_marked_sentence_is_itself() -> None:
    assert mark("解除") == "解除"
