"""Named scenarios: how a plan is drawn from a seed, and small plans for the sweep of crash points.

    plan = draw("storm", 17)          the same plan for the same seed, for ever
    result = run(plan)                World(plan).run()

Each scenario stresses one thing; what it does not stress behaves. It never looks at the service.
"""

import random
from collections.abc import Callable
from dataclasses import replace

from channels.errors import ErrorClass
from tests.sim import invariants_more
from tests.sim.house import Shape, county
from tests.sim.plan import SMS, VOICE, WEBHOOK, Act, Crash, Fault, Habit, Pause, Plan
from tests.sim.world import Result, World

_WORDS = ("1", "1", "1", "收到", "1。", "", "", "", "", "2", "4", "3", "什么意思", "好的谢谢")
_CALLS = ("press", "press", "listen", "cut", "ring", "ring", "busy", "voicemail", "off")
_REFUSALS = (
    ErrorClass.BAD_NUMBER,
    ErrorClass.NOT_CAPABLE,
    ErrorClass.OPTED_OUT,
    ErrorClass.UNROUTABLE,
    ErrorClass.FILTERED,
    ErrorClass.CONFIG,
    ErrorClass.OTHER,
    ErrorClass.HANDSET_OFF,
)
_SENDING = ("throttle", "refuse", "lost_request", "lost_answer", "down", "broken", "slow")
_TELLING = ("no_receipts", "twice", "reorder", "early", "late", "fails", "mute")


def run(plan: Plan) -> Result:
    """Live through a plan."""
    return World(plan).run()


def draw(scenario: str, seed: int) -> Plan:
    """Return the plan of a seed."""
    chance = random.Random(f"{scenario}:{seed}")
    plan = _SCENARIOS[scenario](chance, Plan(scenario=scenario, seed=seed))
    return replace(plan, quiet_at=quiet_at(plan))


def quiet_at(plan: Plan) -> float:
    """When the last thing that the plan names has happened."""
    ends = [f.ends for f in plan.faults]
    ends += [c.at + c.down for c in plan.crashes] + [p.at + p.seconds for p in plan.pauses]
    return max([*ends, *(act.at for act in plan.acts), 4.0]) + 1.0


def names() -> list[str]:
    """Every scenario."""
    return list(_SCENARIOS)


# What they are made of ----------------------------------------------------------------------------


def _habits(chance: random.Random, shape: Shape) -> tuple[tuple[str, Habit], ...]:
    addresses = dict.fromkeys(a for person in county(shape).residents for a in person.addresses)
    return tuple((address, _habit(chance)) for address in addresses)


def _habit(chance: random.Random) -> Habit:
    return Habit(
        word=chance.choice(_WORDS),
        delay=round(chance.choice((chance.uniform(0.5, 30), chance.uniform(30, 110))), 3),
        again=chance.choice(("", "", "1", "2", "1")),
        call=chance.choice(_CALLS),
        key=chance.choice(("1", "1", "1", "2", "9")),
    )


def _faults(chance: random.Random, kinds: tuple[str, ...], most: int) -> tuple[Fault, ...]:
    return tuple(_fault(chance, chance.choice(kinds)) for _ in range(chance.randint(1, most)))


def _fault(chance: random.Random, kind: str) -> Fault:
    begins = round(chance.uniform(0, 55), 1)
    detail = ""
    if kind == "refuse":
        detail = chance.choice(_REFUSALS).value
    elif kind == "fails":
        detail = chance.choice((ErrorClass.HANDSET_OFF, ErrorClass.BAD_NUMBER, ErrorClass.EXPIRED))
    elif kind == "late":
        detail = str(chance.choice((60, 120, 240)))
    return Fault(
        kind=kind,
        channel=chance.choice(("*", SMS, SMS, VOICE, VOICE, WEBHOOK)),
        begins=begins,
        ends=round(min(80.0, begins + chance.uniform(5, 70)), 1),
        share=chance.choice((0.2, 0.5, 0.9, 1.0)),
        detail=str(detail),
    )


def _lookups(chance: random.Random) -> tuple[str, ...]:
    return tuple(kind for kind in (SMS, VOICE, WEBHOOK) if chance.random() < 0.7)


def _crashes(chance: random.Random, most: int) -> tuple[Crash, ...]:
    return tuple(
        Crash(
            at=round(chance.uniform(0, 78), 2),
            points=chance.choice((0, 1, 2, 3, 5, 8, 13)),
            down=round(chance.choice((0.1, chance.uniform(0.5, 8), chance.uniform(8, 30))), 2),
        )
        for _ in range(chance.randint(1, most))
    )


def _acts(chance: random.Random, kinds: tuple[str, ...], most: int) -> tuple[Act, ...]:
    return tuple(
        Act(chance.choice(kinds), round(chance.uniform(1, 75), 2), chance.randint(0, 11))
        for _ in range(chance.randint(1, most))
    )


_OFFICE = ("lift", "update", "second", "drill", "hand", "hand", "tasks", "ack", "click", "again",
           "forge", "move_house")


def _shape(chance: random.Random) -> Shape:
    return chance.choice(
        (
            Shape((2,)),
            Shape((1, 1)),
            Shape((3,), second_numbers=True),
            Shape((2,), by_hand=True),
            Shape((2,), empty_tier=True),
            Shape((2,), endpoint=True),
        )
    )


# The scenarios ------------------------------------------------------------------------------------


def _calm(chance: random.Random, plan: Plan) -> Plan:
    """Nothing goes wrong; only people are as they are."""
    shape = _shape(chance)
    return replace(
        plan,
        shape=shape,
        colour=chance.choice(("red", "red", "orange")),
        habits=_habits(chance, shape),
        until_expired=chance.random() < 0.2,
        expires_seconds=chance.choice((40.0, 75.0, 150.0, 300.0, 300.0)),
    )


def _storm(chance: random.Random, plan: Plan) -> Plan:
    """Every carrier does everything wrong."""
    return replace(
        _calm(chance, plan),
        faults=_faults(chance, _SENDING, 4) + _faults(chance, _TELLING, 4),
        lookups=_lookups(chance),
        per_second=chance.choice((50.0, 50.0, 4.0, 2.0)),
    )


def _crashing(chance: random.Random, plan: Plan) -> Plan:
    """The process dies again and again, with a few faults beside."""
    return replace(
        _calm(chance, plan),
        crashes=_crashes(chance, 4),
        faults=_faults(chance, _SENDING + _TELLING, 2),
        lookups=_lookups(chance),
        acts=_acts(chance, _OFFICE, 1),
    )


def _two_workers(chance: random.Random, plan: Plan) -> Plan:
    """Two engines on one database; they stand still past their leases, and die."""
    pauses = tuple(
        Pause(
            at=round(chance.uniform(0, 60), 2),
            seconds=round(chance.choice((2.0, chance.uniform(5, 14), chance.uniform(14, 40))), 2),
            worker=chance.randint(0, 1),
        )
        for _ in range(chance.randint(1, 3))
    )
    crashes = tuple(replace(c, worker=chance.randint(0, 1)) for c in _crashes(chance, 2))
    return replace(
        _calm(chance, plan),
        workers=2,
        pauses=pauses,
        crashes=crashes if chance.random() < 0.5 else (),
        faults=_faults(chance, _SENDING + _TELLING, 2),
        lookups=_lookups(chance),
        per_second=chance.choice((50.0, 3.0)),
    )


def _officers(chance: random.Random, plan: Plan) -> Plan:
    """The desk is busy: lifting, updating, drills beside live, answers by hand."""
    return replace(
        _calm(chance, plan),
        acts=_acts(chance, _OFFICE, 8),
        faults=_faults(chance, _TELLING, 1) if chance.random() < 0.3 else (),
    )


def _shared_phones(chance: random.Random, plan: Plan) -> Plan:
    """Several people share a phone, several bulletins ask for an answer at once."""
    shape = Shape((2, 1), shared_phone=True)
    return replace(
        _calm(chance, plan),
        shape=shape,
        habits=_habits(chance, shape),
        acts=_acts(chance, ("second", "drill", "lift", "click", "hand"), 4),
        faults=_faults(chance, ("twice", "reorder", "late", "lost_answer"), 2),
    )


def _long_outage(chance: random.Random, plan: Plan) -> Plan:
    """A carrier is down for 100 s, or answers nothing; receipts come an hour late."""
    kind = chance.choice(("down", "lost_request", "lost_answer", "broken", "throttle"))
    return replace(
        _calm(chance, plan),
        faults=(
            Fault(kind, chance.choice((SMS, VOICE, "*")), 10.0, 110.0, 1.0),
            Fault("late", "*", 0.0, 60.0, 0.2, chance.choice(("240", "3600"))),
        ),
        lookups=_lookups(chance),
        crashes=_crashes(chance, 1) if chance.random() < 0.3 else (),
    )


def _stalled(chance: random.Random, plan: Plan) -> Plan:
    """A slow carrier, so that much is claimed and unsent while workers stand still past their
    leases, people answer and officers lift."""
    pauses = tuple(
        Pause(round(chance.uniform(0.5, 15), 2), round(chance.uniform(15, 35), 2), worker)
        for worker in range(chance.randint(1, 2))
    )
    hurried = Act("lift", round(chance.uniform(2, 12), 2))
    return replace(
        _calm(chance, plan),
        workers=2,
        pauses=pauses,
        per_second=chance.choice((1.0, 2.0, 3.0)),
        lookups=_lookups(chance) if chance.random() < 0.5 else (),
        faults=(Fault("slow", "*", 0.0, 60.0, chance.choice((0.0, 0.5, 1.0))),),
        acts=(hurried,) if chance.random() < 0.4 else (),
    )


def _database(chance: random.Random, plan: Plan) -> Plan:
    """The database goes away, fails commits, or leaves them in doubt; carriers have their moods."""
    faults = []
    for _ in range(chance.randint(1, 3)):
        begins = round(chance.uniform(0, 50), 1)
        how = chance.choice(("away", "commit", "unsure", "unsure"))
        faults.append(
            Fault(
                "database",
                "",
                begins,
                round(begins + chance.uniform(0.5, 15), 1),
                1.0 if how == "away" else chance.choice((0.1, 0.3)),
                how,
            )
        )
    return replace(
        _calm(chance, plan),
        faults=(*faults, *_faults(chance, ("lost_answer", "twice", "throttle", "refuse"), 1)),
        crashes=_crashes(chance, 1) if chance.random() < 0.3 else (),
        acts=_acts(chance, _OFFICE, 2),
        lookups=_lookups(chance),
    )


_MOODS = ("refuse", "refuse", "refuse", "down", "down", "throttle", "lost_request", "lost_answer",
          "broken", "slow", "no_receipts", "no_receipts", "late", "late", "blocked", "blocked",
          "fails", "twice", "reorder", "early", "mute")
"""What one of two carriers may be at; the other may be well meanwhile, or at something else."""
_REFUSALS = (ErrorClass.BAD_NUMBER, ErrorClass.BAD_NUMBER, ErrorClass.UNROUTABLE)
_BLOCKS = (ErrorClass.FILTERED, ErrorClass.UNROUTABLE, ErrorClass.OTHER, ErrorClass.EXPIRED)


def _routes(chance: random.Random, plan: Plan) -> Plan:
    """Two carriers of a channel: each has its bad times, and the other must see to it."""
    several = chance.choice(((SMS,), (SMS,), (SMS, VOICE)))
    names = tuple(name for kind in several for name in replace(plan, several=several).accounts(kind))
    moods = tuple(_mood(chance, chance.choice(names)) for _ in range(chance.randint(2, 6)))
    crashes = _crashes(chance, 3) if chance.random() < 0.4 else ()
    plan = replace(
        _calm(chance, plan),
        several=several,
        receipt_seconds=chance.choice((0, 5, 8, 8, 12, 20)),
        faults=moods + (_faults(chance, _SENDING, 1) if chance.random() < 0.3 else ()),
        lookups=_lookups(chance) + tuple(n for n in names if chance.random() < 0.4),
        crashes=crashes,
        per_second=chance.choice((50.0, 4.0, 2.0)),
        acts=_acts(chance, _OFFICE, 2) if chance.random() < 0.3 else (),
    )
    plan = _with_a_second_worker(chance, plan) if chance.random() < 0.4 else plan
    # Longer than a claim has patience for, so that the other carrier gets it.
    return replace(plan, callee_seconds=chance.choice((0, 0, 0, 90, 300)))


def _batches(chance: random.Random, plan: Plan) -> Plan:
    """Carriers that take many texts in a request, whatever else befalls them."""
    if chance.random() < 0.4:
        return replace(_stalled(chance, plan), batch_max=chance.choice((3, 100)))
    befalls = chance.choice((_storm, _crashing, _two_workers, _officers, _routes, _calm))
    plan = befalls(chance, plan)
    wrong = Fault("refuse", SMS, 0.0, 30.0, 0.4, chance.choice(_REFUSALS).value)
    return replace(
        plan,
        faults=plan.faults + ((wrong,) if chance.random() < 0.6 else ()),
        batch_max=chance.choice((2, 3, 5, 100)),
        per_second=chance.choice((50.0, 20.0, 6.0)),
    )


def _silence(chance: random.Random, plan: Plan) -> Plan:
    """The first of two carriers loses what it is given, and says nothing when it is asked of it."""
    plan = replace(_routes(chance, plan), several=(SMS,), colour="red", lookups=())
    first = plan.accounts(SMS)[0]
    lost = _mood(chance, first)
    return replace(plan, faults=(replace(lost, kind="lost_request", begins=0.0, detail=""),))


def _queues(chance: random.Random, plan: Plan) -> Plan:
    """Calls wait in their carrier's queue past their windows, and it can take them back."""
    begins = chance.choice((0.0, 0.0, round(chance.uniform(0, 20), 1)))
    ends = round(begins + chance.uniform(20, 90), 1)
    queue = Fault("queues", VOICE, begins, ends, chance.choice((0.5, 1.0, 1.0)))
    plan = replace(
        _calm(chance, plan),
        cancels=True,
        faults=(queue, *(_faults(chance, _TELLING, 2) if chance.random() < 0.4 else ())),
        lookups=_lookups(chance),
        crashes=_crashes(chance, 2) if chance.random() < 0.3 else (),
        acts=_acts(chance, ("lift", "second", "click", "hand"), 2) if chance.random() < 0.5 else (),
    )
    return _with_a_second_worker(chance, plan) if chance.random() < 0.3 else plan


def _mood(chance: random.Random, carrier: str) -> Fault:
    begins = chance.choice((0.0, 0.0, round(chance.uniform(0, 55), 1)))
    fault = replace(
        _fault(chance, chance.choice(_MOODS)),
        channel=carrier,
        begins=begins,
        ends=round(min(80.0, begins + chance.uniform(5, 80)), 1),
        share=chance.choice((0.3, 0.6, 1.0, 1.0)),
    )
    if fault.kind == "blocked":
        return replace(fault, detail=chance.choice(_BLOCKS).value)
    if fault.kind == "throttle" and chance.random() < 0.4:
        return replace(fault, detail="45")  # Too long to wait for it.
    if fault.kind == "late":
        return replace(fault, detail=chance.choice(("3", "10", "25", "120")))
    return fault


def _with_a_second_worker(chance: random.Random, plan: Plan) -> Plan:
    pauses = (Pause(round(chance.uniform(0.5, 40), 2), round(chance.uniform(5, 30), 2), 1),)
    return replace(
        plan,
        workers=2,
        pauses=pauses if chance.random() < 0.5 else (),
        crashes=tuple(replace(c, worker=chance.randint(0, 1)) for c in plan.crashes),
    )


_SCENARIOS: dict[str, Callable[[random.Random, Plan], Plan]] = {
    "calm": _calm,
    "storm": _storm,
    "crashes": _crashing,
    "two_workers": _two_workers,
    "officers": _officers,
    "shared_phones": _shared_phones,
    "long_outage": _long_outage,
    "database": _database,
    "stalled": _stalled,
    "routes": _routes,
    "batches": _batches,
    "silence": _silence,


    "queues": _queues,
}


# The sweep ----------------------------------------------------------------------------------------


def small(name: str) -> Plan:
    """Return a small plan whose every crash point is tried."""
    return _SMALL[name]


def small_names() -> list[str]:
    """Every plan of the sweep."""
    return list(_SMALL)


def _of(shape: Shape, *habits: Habit) -> tuple[tuple[str, Habit], ...]:
    addresses = [a for person in county(shape).residents for a in person.addresses]
    return tuple(zip(addresses, habits, strict=False))


_ONE = Shape((1,))
_SILENT = Habit(word="", call="ring")
_ANSWERS = Habit(word="1", delay=4.0, call="ring")

_SMALL: dict[str, Plan] = {
    "answer": Plan(
        scenario="sweep:answer", seed=1, shape=_ONE, habits=_of(_ONE, _ANSWERS), quiet_at=20.0
    ),
    "ladder": Plan(
        scenario="sweep:ladder",
        seed=2,
        shape=_ONE,
        window_seconds=20,
        habits=_of(_ONE, _SILENT, Habit(word="2", delay=3.0, call="busy"), _ANSWERS),
        quiet_at=60.0,
    ),
    "exhausted": Plan(
        scenario="sweep:exhausted",
        seed=3,
        shape=Shape((1,), tiers=1),
        window_seconds=20,
        expires_seconds=90.0,
        acts=(Act("tasks", 50.0), Act("ack", 55.0)),
        quiet_at=60.0,
        until_expired=True,
    ),
    "lifted": Plan(
        scenario="sweep:lifted",
        seed=4,
        shape=Shape((2,), tiers=1),
        habits=_of(Shape((2,), tiers=1), Habit(word="1", delay=6.0, call="press"), _SILENT),
        acts=(Act("hand", 8.0), Act("lift", 15.0)),
        quiet_at=25.0,
    ),
    "lost": Plan(
        scenario="sweep:lost",
        seed=5,
        shape=_ONE,
        window_seconds=30,
        habits=_of(_ONE, _SILENT, _ANSWERS),
        faults=(
            Fault("lost_answer", SMS, 0.0, 10.0, 1.0),
            Fault("lost_request", VOICE, 0.0, 10.0, 1.0),
            Fault("throttle", "*", 10.0, 40.0, 0.5),
        ),
        quiet_at=45.0,
    ),
    "two_carriers": Plan(
        scenario="sweep:two_carriers",
        seed=6,
        shape=_ONE,
        window_seconds=30,
        habits=_of(_ONE, _SILENT, _ANSWERS),
        several=(SMS,),
        receipt_seconds=6,
        faults=(
            Fault("no_receipts", "sms-a", 0.0, 20.0, 1.0),
            Fault("refuse", "sms-b", 0.0, 4.0, 1.0, ErrorClass.FILTERED.value),
            Fault("blocked", "sms-a", 20.0, 45.0, 1.0, ErrorClass.UNROUTABLE.value),
        ),
        quiet_at=46.0,
    ),
    "together": Plan(
        scenario="sweep:together",
        seed=7,
        shape=Shape((3,), tiers=1),
        window_seconds=20,
        habits=_of(Shape((3,), tiers=1), _ANSWERS, _ANSWERS, _SILENT),
        batch_max=5,
        faults=(
            Fault("refuse", SMS, 0.0, 3.0, 0.6, ErrorClass.BAD_NUMBER.value),
            Fault("lost_answer", SMS, 3.0, 20.0, 0.5),
        ),
        quiet_at=25.0,
    ),
}


assert invariants_more  # Importing it registers what it says must hold.
