"""Carriers: how each stands, what it cannot do, which way messages take, and a test to one's phone.

    /carriers ──► one carrier ──► send a test ──► sending, accepted, delivered, answered
       └─ administrators: add, enable, disable, remove, each with a page that says what it means

Secrets are never typed here: a form takes the path of a file. It decides nothing.
"""

from collections.abc import Sequence

from aiohttp import web

from warnsvc.core.refusal import Refusal, Refusals
from warnsvc.service.carrier import (
    CarrierView,
    list_carriers,
    open_channel,
    remove_carrier,
    set_enabled,
)
from warnsvc.service.carrier_view import LAST_TESTS
from warnsvc.service.officer import Role
from warnsvc.service.test_send import send_test
from warnsvc.store.test_send import TestSend, last_of_carriers
from warnsvc.web.capability import callee_limits, home_code, traits_of
from warnsvc.web.carrier_card import Card, card_of, cards_of
from warnsvc.web.carrier_next import next_step
from warnsvc.web.query.carrier import SetValue, circuit_changes, set_values
from warnsvc.web.route_table import route_lines
from warnsvc.web.visit import Visit, get, post, see_other

REFUSED_STATUS = 422
KINDS = ("sms", "voice", "webhook")
"""The order of the page: what is heard most widely first."""
UNDER_WAY = frozenset({"sending", "accepted", "unknown"})
"""States of a test after which something may still come."""
WATCHED_SECONDS = 300
"""A test of which nothing came for so long is over; its page stops asking."""
ACTS = ("enable", "disable", "remove")


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        get("/carriers", show_carriers),
        get("/carriers/{name}", show_carrier),
        get("/carriers/{name}/tests", show_tests, quiet=True),
        post("/carriers/{name}/test", do_test, Role.ADMIN, Role.DUTY),
        get("/carriers/{name}/sure", ask_if_sure, Role.ADMIN),
        post("/carriers/{name}/{act}", do_act, Role.ADMIN),
    ]


async def show_carriers(visit: Visit) -> web.StreamResponse:
    """Show every carrier and the routes among them."""
    show, home = visit.pages.show(visit), home_code(visit.ctx.settings.local_country)
    cards = cards_of(await list_carriers(visit.ctx), show, home=home)
    lines = route_lines(visit.ctx.fleet, show, home=home)
    return await visit.render(
        "carriers.html",
        groups=[(kind, _in_route_order(visit, cards, kind)) for kind in KINDS],
        lines=lines,
        step=next_step(cards, lines, show, may_add=visit.may(Role.ADMIN)),
    )


def _in_route_order(visit: Visit, cards: list[Card], kind: str) -> list[Card]:
    """Return the carriers of a kind as the first route of the kind asks them."""
    order = [name for rule in visit.ctx.fleet.routes if rule.kind == kind for name in rule.carriers]
    mine = [card for card in cards if card.view.kind == kind]
    return sorted(mine, key=lambda card: order.index(card.name) if card.name in order else 99)


async def show_carrier(visit: Visit) -> web.StreamResponse:
    """Show one carrier."""
    return await _page(visit)


async def show_tests(visit: Visit) -> web.StreamResponse:
    """Return only the part of the page about tests, for its script."""
    name = visit.request.match_info["name"]
    async with visit.ctx.store.view() as view:  # not the whole carrier: it is asked every 2 s
        tests = (await last_of_carriers(view, [name], most=LAST_TESTS))[name]
    html = await visit.pages.render(visit, "carrier_tests.html", _tests(visit, name, tests))
    return web.json_response({"html": html})


async def do_test(visit: Visit) -> web.StreamResponse:
    """Send a test, and go to where its result is shown."""
    name = visit.request.match_info["name"]
    try:
        async with open_channel(visit.ctx, name) as channel:
            test = await send_test(
                visit.ctx,
                channel,
                address=visit.form.text("address"),
                officer_id=visit.officer.id,
                language=visit.language,
            )
    except Refusals as refusals:
        return await _page(visit, refusals=refusals.by_field())
    except Refusal as refusal:
        return await _page(visit, refusals={refusal.field or "address": refusal})
    return see_other(f"/carriers/{name}?test={test.id}#tests")


async def ask_if_sure(visit: Visit) -> web.StreamResponse:
    """Say what enabling, disabling or removing means, and ask once more."""
    act = visit.query("act")
    if act not in ACTS:
        raise web.HTTPNotFound
    return await visit.render("carrier_sure.html", card=await _card(visit), act=act, refusal=None)


async def do_act(visit: Visit) -> web.StreamResponse:
    """Enable, disable or remove."""
    name, act = visit.request.match_info["name"], visit.request.match_info["act"]
    if act not in ACTS:
        raise web.HTTPNotFound
    try:
        if act == "remove":
            await remove_carrier(visit.ctx, visit.officer.id, name)
        else:
            await set_enabled(visit.ctx, visit.officer.id, name, act == "enable")
    except Refusal as refusal:
        return await visit.render(
            "carrier_sure.html",
            status=REFUSED_STATUS,
            card=await _card(visit),
            act=act,
            refusal=refusal,
        )
    said = {"enable": "carrier_enabled", "disable": "carrier_disabled", "remove": "carrier_removed"}
    return see_other(f"{'/carriers' if act == 'remove' else f'/carriers/{name}'}?said={said[act]}")


async def _page(visit: Visit, *, refusals: dict[str, Refusal] | None = None) -> web.StreamResponse:
    view = await _view(visit)
    show, home = visit.pages.show(visit), home_code(visit.ctx.settings.local_country)
    can = view.capabilities
    async with visit.ctx.store.view() as unit:
        changes = await circuit_changes(unit, view.name)
        values = await set_values(unit, visit.ctx, view.name)
    return await visit.render(
        "carrier.html",
        status=REFUSED_STATUS if refusals else 200,
        card=card_of(view, show, home=home, profile=_profile(values)),
        traits=[] if can is None else traits_of(can, show, home=home),
        limits=[] if can is None else callee_limits(can.per_callee, show),
        changes=changes,
        values=values,
        lines=[
            line
            for line in route_lines(visit.ctx.fleet, show, home=home)
            if any(stop.name == view.name for stop in line.stops)
        ],
        refusals=refusals or {},
        typed=visit.form,
        view=view,
        **_tests(visit, view.name, view.last_tests),
    )


def _profile(values: Sequence[SetValue]) -> str:
    """Return what stands behind a gateway, when it was set."""
    return next((value.value for value in values if value.name == "profile"), "")


def _tests(visit: Visit, name: str, tests: Sequence[TestSend]) -> dict[str, object]:
    """Return the tests, the one that was just sent, and whether something may still come."""
    wanted = visit.query("test")
    chosen = next((test for test in tests if str(test.id) == wanted), None)
    live = chosen is not None and _is_live(chosen, visit)
    return {"name": name, "tests": tests, "chosen": chosen, "live": live}


def _is_live(test: TestSend, visit: Visit) -> bool:
    if (visit.now - test.sent_at).total_seconds() > WATCHED_SECONDS:
        return False
    return test.state in UNDER_WAY or (test.state == "delivered" and test.answered_at is None)


async def _view(visit: Visit) -> CarrierView:
    """Return the carrier in the address. Raises Refusal: there is none of this name."""
    name = visit.request.match_info["name"]
    for view in await list_carriers(visit.ctx):
        if view.name == name:
            return view
    raise Refusal("carrier_unknown", name=name[:40])


async def _card(visit: Visit) -> Card:
    show, home = visit.pages.show(visit), home_code(visit.ctx.settings.local_country)
    return card_of(await _view(visit), show, home=home)
