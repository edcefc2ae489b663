"""Turning the simulated carrier's knobs and acting for its people, by program or by hand.

    GET  /control                        all knobs, the outage, the counts
    POST /control                        JSON {knob: value, …, "outage": {kind, seconds}}, or a form
    PUT  /control/directory              [{"number", "name", "place"}, …]: names on the phones
    GET  /control/handsets?q=            phones as JSON, the newest first
    POST /phones/{number}/reply          text=: send a message back
    POST /phones/{number}/press          key=: take the ringing call, hear it out, press
    POST /phones/{number}/cut            take it and hang up half way
    POST /phones/{number}/decline        refuse it
    POST /phones/{number}/settings       habit=, condition=: "" for what the seed gave

Nothing here needs a password: whoever reaches the port is at the desk of a rehearsal. A page of
another site in the same browser is refused all the same.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from itertools import chain
from typing import Any

from aiohttp import web

from channels.simulator.behaviour import Behaviour, OutageKind, as_dict, changed
from channels.simulator.carrier import Carrier, instant
from channels.simulator.habit import BY_NAME, Condition
from channels.simulator.handset import Handset

OUTAGE_SECONDS = 60.0
"""Length of an outage when none is given."""

OUTAGE_SECONDS_MAX = 86_400.0
HANDSETS_LISTED_MAX = 500
DIRECTORY_MAX = 200_000
REPLY_CHARS_MAX = 500
LABEL_CHARS_MAX = 60
PERCENT = "_percent"
"""Form fields that end so are shares in percent."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Unusable(Exception):
    """What was asked for makes no sense; the text says why."""


class Control:
    """Handlers over one carrier."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of /control and the actions on phones."""
        actions = {
            "reply": self._reply,
            "press": self._press,
            "cut": self._cut,
            "decline": self._decline,
            "settings": self._settings,
        }
        return [
            web.get("/control", self._show),
            web.post("/control", own_pages_only(self._turn)),
            web.put("/control/directory", own_pages_only(self._directory)),
            web.get("/control/handsets", self._handsets),
            *(
                web.post(f"/phones/{{number}}/{name}", own_pages_only(self._action(act)))
                for name, act in actions.items()
            ),
        ]

    # -------------------------------------------------------------------------------------- knobs

    async def _show(self, request: web.Request) -> web.Response:
        carrier = self._carrier
        counts = {name: getattr(carrier.counts, name) for name in carrier.counts.__slots__}
        posts = carrier.postman.counts
        left = max(0.0, carrier.outage.until - carrier.timeline.now())
        return web.json_response(
            {
                "behaviour": as_dict(carrier.behaviour),
                "outage": {"kind": carrier.fault(), "seconds_left": round(left, 1)},
                "counts": counts,
                "callbacks": {name: getattr(posts, name) for name in posts.__slots__},
            }
        )

    async def _turn(self, request: web.Request) -> web.StreamResponse:
        try:
            if request.content_type == "application/json":
                wanted = _json_object(await request.read())
            else:
                form = await request.post()
                # A box that is ticked comes after the hidden "off" beside it; the last one counts.
                wanted = _from_form(self._carrier.behaviour, dict(form.items()))
            self._apply(wanted)
        except (Unusable, ValueError) as error:
            return web.json_response({"message": str(error)}, status=400)
        if request.content_type == "application/json":
            return await self._show(request)
        return done(request)

    def _apply(self, wanted: dict[str, Any]) -> None:
        outage = wanted.pop("outage", None)
        behaviour = changed(self._carrier.behaviour, wanted)
        fault = _outage(outage) if outage is not None else None
        self._carrier.behaviour = behaviour
        if fault is not None:
            self._carrier.break_down(*fault)
        self._carrier.watch.bump()

    # ------------------------------------------------------------------------------------- phones

    async def _directory(self, request: web.Request) -> web.StreamResponse:
        try:
            rows = _directory_rows(await request.read())
        except (ValueError, Unusable) as error:
            return web.json_response({"message": str(error)}, status=400)
        for number, name, place in rows:
            self._carrier.shelf.label(number, name=name, place=place)
        self._carrier.watch.bump()
        return web.json_response({"named": len(rows)})

    async def _handsets(self, request: web.Request) -> web.Response:
        wanted = request.query.get("q", "").strip()
        found = []
        for handset in chain(self._carrier.shelf.newest_first(), self._carrier.shelf.idle()):
            if handset.matches(wanted):
                found.append(_described(self._carrier, handset))
            if len(found) == HANDSETS_LISTED_MAX:
                break
        return web.json_response({"items": found})

    def _action(self, act: Callable[[Handset, Mapping[str, Any]], bool]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            handset = self._carrier.shelf.find(request.match_info["number"])
            if handset is None:
                return web.json_response({"message": "no such phone"}, status=404)
            try:
                happened = act(handset, dict(await request.post()))
            except Unusable as error:
                return web.json_response({"message": str(error)}, status=400)
            if not happened:
                return web.json_response({"message": "the phone does not ring"}, status=409)
            return done(request)

        return handle

    def _reply(self, handset: Handset, form: Mapping[str, Any]) -> bool:
        text = str(form.get("text", ""))
        if not 1 <= len(text) <= REPLY_CHARS_MAX:
            raise Unusable(f"a reply has from 1 to {REPLY_CHARS_MAX} characters")
        self._carrier.reply(handset.number, text)
        return True

    def _press(self, handset: Handset, form: Mapping[str, Any]) -> bool:
        key = str(form.get("key", ""))
        if len(key) != 1 or key not in "0123456789*#":
            raise Unusable("a key is one of 0 to 9, * and #")
        return self._carrier.take_call(handset.number, key)

    def _cut(self, handset: Handset, form: Mapping[str, Any]) -> bool:
        return self._carrier.cut_call(handset.number)

    def _decline(self, handset: Handset, form: Mapping[str, Any]) -> bool:
        return self._carrier.decline_call(handset.number)

    def _settings(self, handset: Handset, form: Mapping[str, Any]) -> bool:
        habit, condition = str(form.get("habit", "")), str(form.get("condition", ""))
        if habit and habit not in BY_NAME:
            raise Unusable("there is no such habit")
        if condition and condition not in set(Condition):
            raise Unusable("there is no such condition")
        handset.habit = BY_NAME[habit] if habit else None
        handset.condition = Condition(condition) if condition else None
        handset.revision += 1
        self._carrier.watch.bump()
        return True


def own_pages_only(handler: Handler) -> Handler:
    """Refuse what a page of another site asks for; programs and our own page are let through."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            return web.json_response({"message": "not from another site"}, status=403)
        return await handler(request)

    return guarded


def done(request: web.Request) -> web.StreamResponse:
    """Answer a form: a script gets 204, a browser without one goes back to the page."""
    if request.headers.get("Accept") == "application/json":
        return web.Response(status=204)
    return web.Response(status=303, headers={"Location": "/"})


def _json_object(body: bytes) -> dict[str, Any]:
    value = json.loads(body)
    if not isinstance(value, dict):
        raise Unusable("a JSON object is expected")
    return value


def _from_form(behaviour: Behaviour, form: Mapping[str, Any]) -> dict[str, Any]:
    """Turn what a form can say into what a knob takes."""
    known = as_dict(behaviour)
    wanted: dict[str, Any] = {}
    for field, given in form.items():
        name, text = field.removesuffix(PERCENT), str(given)
        if name in ("outage", "seconds"):
            continue
        before = known.get(name)
        if isinstance(before, bool):
            wanted[name] = text == "on"
        else:
            wanted[name] = float(text) / (100.0 if field.endswith(PERCENT) else 1.0)
    if "outage" in form:
        wanted["outage"] = {"kind": form["outage"], "seconds": float(form.get("seconds", 0))}
    return wanted


def _outage(given: Any) -> tuple[OutageKind, float]:
    if not isinstance(given, Mapping) or given.get("kind") not in set(OutageKind):
        raise Unusable(f"an outage is one of {', '.join(OutageKind)}")
    seconds = given.get("seconds", OUTAGE_SECONDS)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise Unusable("seconds is a number")
    if not 0.0 <= seconds <= OUTAGE_SECONDS_MAX:
        raise Unusable("an outage lasts at most a day")
    return OutageKind(given["kind"]), float(seconds)


def _directory_rows(body: bytes) -> list[tuple[str, str, str]]:
    rows = json.loads(body)
    if not isinstance(rows, list) or len(rows) > DIRECTORY_MAX:
        raise Unusable(f"a directory is a list of at most {DIRECTORY_MAX} entries")
    if not all(isinstance(row, dict) and row.get("number") for row in rows):
        raise Unusable("an entry has number, name and place")
    return [
        (
            str(row["number"])[:LABEL_CHARS_MAX],
            str(row.get("name", ""))[:LABEL_CHARS_MAX],
            str(row.get("place", ""))[:LABEL_CHARS_MAX],
        )
        for row in rows
    ]


def _described(carrier: Carrier, handset: Handset) -> dict[str, Any]:
    habit = carrier.habit(handset.number)
    return {
        "number": handset.number,
        "name": handset.name,
        "place": handset.place,
        "ringing": handset.call is not None and handset.call.status == "ringing",
        "condition": carrier.condition(handset.number),
        "habit": habit.name if habit else "",
        "entries": [
            {
                "kind": entry.kind,
                "text": entry.text,
                "at": instant(entry.at),
                "status": entry.status,
                "parts": entry.parts,
                "sender": entry.sender,
                "language": entry.language,
            }
            for entry in handset.entries
        ],
    }
