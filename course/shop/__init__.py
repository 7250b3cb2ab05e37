"""The online shop under watch: simulate its metrics, logs, traces, events and faults.

>>> from course.shop import Fault, Scenario, simulate, truth
>>> fault = Fault("third_party_outage", "payment-provider", start=72, minutes=40, severity=0.8)
>>> scenario = Scenario("2026-03-10T02:00Z", minutes=180, seed=3, faults=(fault,))
>>> recording = simulate(scenario)
>>> truth(scenario)[0].path
('payment-provider', 'payment', 'checkout', 'gateway')
"""

from course.shop.days import ServiceDay, service_days
from course.shop.draw import draw_incidents
from course.shop.faults import FAULTS, FaultType
from course.shop.recording import Recording
from course.shop.scenario import Deploy, Fault, Flag, Scenario, Surge
from course.shop.simulator import history, simulate, simulate_many
from course.shop.surges import SURGES, SurgeType
from course.shop.topology import METRICS, SERVICES, TOPOLOGY, Call, Service, Topology
from course.shop.truth import Truth, truth

__all__ = [
    "FAULTS",
    "METRICS",
    "SERVICES",
    "SURGES",
    "TOPOLOGY",
    "Call",
    "Deploy",
    "Fault",
    "FaultType",
    "Flag",
    "Recording",
    "Scenario",
    "Service",
    "ServiceDay",
    "Surge",
    "SurgeType",
    "Topology",
    "Truth",
    "draw_incidents",
    "history",
    "service_days",
    "simulate",
    "simulate_many",
    "truth",
]
