"""The simulated carrier: an HTTP carrier of our own with phones, latencies, faults and habits.

    create_carrier(config)    an aiohttp application
    CarrierServer(config)     the same on a port, in this process
    python -m channels.simulator --port 8081 --secret-file …    in its own

Adapters speak to it over HTTP like to any other carrier (`channels.simulated`), and it calls our
public callbacks. It never imports the service it serves.
"""

from channels.simulator.api import CARRIER
from channels.simulator.behaviour import Behaviour, Outage, OutageKind
from channels.simulator.carrier import Carrier, CarrierConfig
from channels.simulator.habit import HABITS, Condition, Habit
from channels.simulator.hook import AnswersBy, Hook
from channels.simulator.server import CarrierServer, create_carrier
from channels.simulator.timeline import ManualTimeline, RealTimeline, Timeline
from channels.simulator.traffic import Account

__all__ = [
    "CARRIER",
    "HABITS",
    "Account",
    "AnswersBy",
    "Behaviour",
    "Carrier",
    "CarrierConfig",
    "CarrierServer",
    "Condition",
    "Habit",
    "Hook",
    "ManualTimeline",
    "Outage",
    "OutageKind",
    "RealTimeline",
    "Timeline",
    "create_carrier",
]
