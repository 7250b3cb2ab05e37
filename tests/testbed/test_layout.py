"""The testbed's services and calls are those of the simulator's shop."""

from __future__ import annotations

from collections import Counter

import pytest

from course.shop import FAULTS, TOPOLOGY
from course.shop.traces import OPERATIONS as SIMULATED_OPERATIONS
from course.shop.workload import JOURNEYS as SIMULATED
from course.testbed.layout import ENTRIES, JOURNEYS, NODES, OPERATIONS, callees, callers
from course.testbed.troubles import KINDS


def test_services_have_the_name_and_the_kind_of_the_simulators() -> None:
    assert {name: node.kind for name, node in NODES.items()} == {
        name: TOPOLOGY.service(name).kind for name in NODES
    }
    assert len(NODES) >= 10


def test_services_stand_in_the_simulators_order() -> None:
    assert list(NODES) == [name for name in TOPOLOGY.names if name in NODES]


@pytest.mark.parametrize("name", NODES)
def test_calls_are_the_simulators_between_the_services_that_run(name: str) -> None:
    expected = {c.callee for c in TOPOLOGY.calls if c.caller == name and c.callee in NODES}
    if name == "order-queue":  # the consumer asks for messages; the queue does not call
        expected.discard("fulfilment")
        assert "order-queue" in callees("fulfilment")
    here = set(callees(name)) - ({"order-queue"} if name == "fulfilment" else set())
    assert here == expected


@pytest.mark.parametrize("name", [name for name, node in NODES.items() if node.calls])
def test_calls_per_request_are_the_simulators(name: str) -> None:
    mine: Counter[str] = Counter()
    for edge in NODES[name].calls:
        mine[edge.callee] += edge.per_request
    theirs = {c.callee: c.per_request for c in TOPOLOGY.calls if c.caller == name}
    if name == "catalog":  # the simulator's cache is a service of its own
        mine.pop("catalog-db")
    assert mine == {callee: theirs[callee] for callee in mine}


def test_fallbacks_are_the_simulators() -> None:
    mine = {(n.name, e.callee): e.optional for n in NODES.values() for e in n.calls if e.optional}
    theirs = {(c.caller, c.callee): c.optional for c in TOPOLOGY.calls}
    assert mine == {pair: theirs[pair] for pair in mine}


def test_journeys_are_the_simulators_and_all_enter_somewhere() -> None:
    assert set(JOURNEYS) <= set(SIMULATED)
    assert sum(JOURNEYS.values()) == pytest.approx(1)
    assert set(ENTRIES) == set(JOURNEYS)
    assert all(callers(journey) == ["gateway"] for journey in JOURNEYS)


def test_operations_are_named_as_in_the_simulators_traces() -> None:
    assert {name: SIMULATED_OPERATIONS[name] for name in NODES} == OPERATIONS


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "queue_backlog"])
def test_faults_strike_where_the_simulators_do(kind: str) -> None:
    assert set(KINDS[kind].services) <= set(FAULTS[kind].services)
    assert KINDS[kind].announced == FAULTS[kind].announced
