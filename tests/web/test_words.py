"""Every sentence of the console has its English, and every refusal its sentence."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from warnsvc.core.refusal import Refusal
from warnsvc.resource import locale_dir, templates_dir
from warnsvc.service.sendable import REFUSED
from warnsvc.service.test_send import OBSTACLES
from warnsvc.web.act import ACTS
from warnsvc.web.sentence import REFUSALS, SAID, sentence
from warnsvc.words import Words

ROOT = Path(__file__).resolve().parents[2]
CHINESE = re.compile("[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
PLACES = re.compile(r"\{(\w+)\}")
CALL = re.compile(r'\b_\(\s*"((?:[^"\\]|\\.)*)"')
TEMPLATE_CODE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
LOG_EVENTS = {
    "carrier.left_out",
    "inbound.batch_failed",
    "inbound.fact_failed",
    "inbound.bulletin_held",
}
COLUMNS = re.compile(r"\.(id|code)$")
TABLES = (
    "bulletin|escalation|callout|attempt|inbound|task|alarm|number|directory|officer"
    "|carrier|circuit"
)


@pytest.fixture(scope="module")
def words() -> Words:
    return Words.load(locale_dir())


def sentences() -> dict[str, str]:
    """Sentence → where it is used first."""
    found: dict[str, str] = {}
    for path in sorted((templates_dir() / "web").glob("*.html")):
        for sentence_ in CALL.findall(path.read_text(encoding="utf-8")):
            found.setdefault(sentence_, path.name)
    for path in sorted((ROOT / "warnsvc" / "web").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and _name(node.func) in {"mark", "words"}:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.setdefault(first.value, f"{path.name}:{node.lineno}")
    return found


def _name(function: ast.expr) -> str:
    return getattr(function, "id", getattr(function, "attr", ""))


def test_every_sentence_has_its_english(words: Words) -> None:
    english = words.table("en")

    missing = {where: text for text, where in sentences().items() if text not in english}

    assert missing == {}


@pytest.mark.parametrize("file", ["console.po", "carriers.po", "sendable.po"])
def test_no_english_sentence_is_left_over(file: str) -> None:
    used = sentences()
    text = (locale_dir() / "en" / file).read_text(encoding="utf-8")

    kept = [eval(line[6:]) for line in text.splitlines() if line.startswith("msgid ")]

    assert [key for key in kept if key and key not in used] == []


def test_a_translation_names_the_same_places(words: Words) -> None:
    english = words.table("en")

    for text in sentences():
        assert set(PLACES.findall(text)) == set(PLACES.findall(english[text])), text


def test_an_english_sentence_is_english(words: Words) -> None:
    english = words.table("en")

    for text in sentences():
        assert not CHINESE.search(english[text]), text


def test_templates_hold_no_chinese_outside_the_sentences() -> None:
    for path in sorted((templates_dir() / "web").glob("*.html")):
        bare = TEMPLATE_CODE.sub("", path.read_text(encoding="utf-8"))

        assert not CHINESE.search(bare), (path.name, CHINESE.search(bare))


def refusal_codes() -> Iterator[tuple[str, set[str], str]]:
    """Yield (code, parameters, where) of every refusal that the source raises."""
    for path in sorted((ROOT / "warnsvc").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) == "Refusal" and node.args:
                names = {word.arg for word in node.keywords if word.arg and word.arg != "field"}
                for code in _constants(node.args[0]):
                    yield code, names, f"{path.name}:{node.lineno}"


def _constants(code: ast.expr) -> list[str]:
    """Return the codes of `"a"` or of `"a" if … else "b"`."""
    if isinstance(code, ast.IfExp):
        return [*_constants(code.body), *_constants(code.orelse)]
    return [str(code.value)] if isinstance(code, ast.Constant) else []


def test_every_refusal_has_a_sentence_with_the_parameters_it_is_given() -> None:
    codes = list(refusal_codes())

    assert len(codes) > 50
    for code, given, where in codes:
        assert code in REFUSALS, f"{where} refuses with {code}, which has no sentence"
        wanted = set(PLACES.findall(REFUSALS[code]))
        if code == "task_claimed":
            continue  # the page puts the name in the place of the id
        assert wanted <= given, f"{where}: {code} needs {wanted - given}"


def test_no_sentence_is_kept_for_a_refusal_that_nobody_raises() -> None:
    raised = {code for code, _, _ in refusal_codes()}
    raised |= {*OBSTACLES.values(), *REFUSED.values()}

    assert set(REFUSALS) - raised == set()


def test_an_unknown_refusal_is_shown_with_its_code(words: Words) -> None:
    said = sentence(Refusal("never_heard_of"), words.language("zh"))

    assert "never_heard_of" in said


def test_states_and_roles_in_refusals_are_words(words: Words) -> None:
    state = sentence(Refusal("wrong_state", state="signed"), words.language("zh"))
    roles = sentence(Refusal("role_missing", roles="duty,signer"), words.language("en"))

    assert "已签发，待发布" in state
    assert "Duty, Signed" in roles or "Duty, " in roles


def test_every_act_of_the_ledger_has_a_word() -> None:
    written = set()
    for folder in ("core", "service", "store", "worker", "outbox"):
        for path in (ROOT / "warnsvc" / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                text = node.value if isinstance(node, ast.Constant) else None
                if isinstance(text, str) and re.fullmatch(rf"({TABLES})\.[a-z_]+", text):
                    written.add(text)
    acts = {a for a in written if not COLUMNS.search(a)} - LOG_EVENTS

    assert len(acts) > 30
    assert acts - set(ACTS) == set()


def test_every_act_of_the_desk_says_what_it_did() -> None:
    used = set()
    for path in (ROOT / "warnsvc" / "web").glob("*.py"):
        used |= set(re.findall(r"said=(\w+)", path.read_text(encoding="utf-8")))

    assert used <= set(SAID)
