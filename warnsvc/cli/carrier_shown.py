"""How carriers, their parameters and their tests are shown by the command: words, or a document.

The words are the console's. Numbers are masked in both; a secret is in neither, because none is in
what is shown. It decides nothing.
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from warnsvc.cli.shown import show_of
from warnsvc.cli.ui import Ui
from warnsvc.service.carrier import PROBLEMS, CarrierView, Parameter
from warnsvc.service.carrier_account import HIDDEN
from warnsvc.service.context import Context
from warnsvc.store.test_send import TestSend
from warnsvc.web.capability import home_code, traits_of
from warnsvc.web.carrier_word import PURPOSE, STANDING, TEST
from warnsvc.web.label import ERROR

NOT_HERE = frozenset({"not_running"})
"""Problems that only a running service can have."""


def lines_of(ui: Ui, desk: Context, view: CarrierView) -> Iterator[tuple[str, str]]:
    """Yield title and words about a carrier, those that there are."""
    shown, words = show_of(ui, desk), ui.words
    if can := view.capabilities:
        home = home_code(desk.settings.local_country)
        for trait in traits_of(can, shown, home=home):
            yield trait.name, f"{trait.sign} {trait.sentence}"
    if view.pace_factor < 1.0:
        yield words("现在的速度"), f"{view.pace_factor:.0%}"
    yield words("等待发送"), str(view.waiting)
    if view.last_ok_at:
        yield words("最近正常"), shown.time(view.last_ok_at)
    if view.last_failed_at:
        yield words("最近出错"), f"{shown.time(view.last_failed_at)}  {view.last_error}"
    if view.canary_minutes:
        yield (
            words("试发"),
            words(
                "{address}，每 {length}一次",
                address=view.canary_address_masked,
                length=shown.length(view.canary_minutes * 60),
            ),
        )
    if view.last_canary_ok_at:
        yield words("试发最近成功"), shown.time(view.last_canary_ok_at)
    for route in view.routes:
        yield words("路由"), route
    yield words("填给运营商的回执地址"), view.callback_address
    yield words("填给运营商的回复地址"), view.inbound_address
    if HIDDEN in view.inbound_address:
        yield words("完整的地址"), f"warnsvc carriers address {view.name}"


def standing(ui: Ui, view: CarrierView) -> str:
    """Return how it stands, in a word; whether a service has it is not ours to know."""
    if view.fault:
        return ui.words(STANDING["broken"].words)
    if not view.enabled:
        return ui.words(STANDING["disabled"].words)
    return ui.words(STANDING[view.circuit_state].words)


def problems(ui: Ui, view: CarrierView) -> list[str]:
    """Return what is wrong with it, in sentences."""
    codes = [code for code in view.problems if code not in NOT_HERE]
    return [ui.words(PROBLEMS[code], fault=view.fault) for code in codes]


def test_line(ui: Ui, desk: Context, sent: TestSend) -> str:
    """Return one test: when, why, to whom, what became of it."""
    at, why = show_of(ui, desk).time(sent.sent_at), ui.words(PURPOSE[sent.purpose])
    answer = ui.words("，应答：{answer}", answer=sent.answer) if sent.answered_at else ""
    return f"{at}  {why}  {sent.masked}  {became(ui, sent)}{answer}"


def became(ui: Ui, sent: TestSend) -> str:
    """Return what became of a test, with the carrier's words when it failed."""
    why = ui.words(ERROR[sent.error_class]) if sent.error_class in ERROR else ""
    said = ui.words(TEST[sent.state].words)
    return " ".join(filter(None, (said, why, sent.error_text)))


def parameter_row(ui: Ui, parameter: Parameter) -> tuple[str, str, str, str]:
    """Return a parameter as it is given, whether it is needed, its default, and what it is."""
    needed = ui.words("必填") if parameter.required else ""
    if parameter.either:
        needed = ui.words("填其一")
    option = "--secret-file" if parameter.secret else "--param"
    told = ui.words(parameter.help) if parameter.help else ""
    return f"{option} {parameter.name}=", needed, parameter.default, told


def carrier_document(view: CarrierView) -> dict[str, Any]:
    """Return a carrier for programs."""
    document = asdict(view)
    del document["running"]  # of a service; this is none
    document["problems"] = [code for code in view.problems if code not in NOT_HERE]
    if can := document["capabilities"]:
        for name in ("countries", "inbound_countries", "languages"):
            can[name] = sorted(can[name])
    document["last_tests"] = [test_document(each) for each in view.last_tests]
    document["last_canary"] = test_document(view.last_canary) if view.last_canary else None
    return document


def test_document(sent: TestSend) -> dict[str, Any]:
    """Return a test for programs."""
    return {**asdict(sent), "address": sent.masked}
