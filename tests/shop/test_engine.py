"""The engine: flow balance, queueing, batches, controls."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from course.shop import SERVICES, TOPOLOGY, Fault, Scenario, draw_incidents
from course.shop.engine import INPUTS, MEMORIES, OUTPUTS, Controls, Engine
from course.shop.simulator import engine_inputs, prepare

ENGINE = Engine()


def _inputs(scenarios):
    rows = [engine_inputs(prepare(scenario)[0], scenario) for scenario in scenarios]
    return np.stack(rows, axis=2)


def _named(outputs):
    return dict(zip(OUTPUTS, outputs.swapaxes(0, 1), strict=True))


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32))
def test_looking_at_calm_minutes_together_equals_stepping_through_them(seed):
    inputs = _inputs(draw_incidents(6, seed, minutes=60))
    state, stepped = ENGINE.calm(6), []
    for now in inputs:
        state, outputs = ENGINE.step(state, now)
        stepped.append(outputs)
    assert ENGINE.run(inputs).tobytes() == np.stack(stepped).tobytes()


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32))
def test_a_scenario_does_not_depend_on_its_batch(seed):
    inputs = _inputs(draw_incidents(5, seed, minutes=60))
    alone = ENGINE.run(np.ascontiguousarray(inputs[:, :, 2:3]))
    assert ENGINE.run(inputs)[:, :, 2:3].tobytes() == alone.tobytes()


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32))
def test_requests_are_conserved_along_the_call_graph(seed):
    """rate = calls of all callers that got so far, retries included, in the minute's mix."""
    scenarios = draw_incidents(6, seed, minutes=90, kinds=["bad_deploy", "retry_storm"])
    inputs = _inputs(scenarios)
    raw = _named(ENGINE.run(inputs))
    onward = raw["rate"][1:] * (1 - raw["lost"][:-1])
    demand = inputs[1:, INPUTS.index("rate")]
    entries = [SERVICES.index(name) for name in TOPOLOGY.callees("gateway")]
    for place in range(1, len(SERVICES)):
        called = (onward * TOPOLOGY.call_matrix[:, place]).sum(axis=-1)
        if place in entries:  # the journeys of a minute want more of one entry, less of another
            called *= demand[..., place] / (demand * TOPOLOGY.call_matrix[:, place]).sum(axis=-1)
        expected = called * raw["attempts"][1:, :, place]
        assert np.allclose(raw["rate"][1:, :, place], expected, rtol=1e-9), SERVICES[place]


@example(17336097)
@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32))
def test_a_gateway_that_loses_nearly_all_leaves_every_entry_its_part_of_the_rest(seed):
    scenarios = draw_incidents(4, seed, minutes=60, kinds=["bad_deploy"], services=["gateway"])
    inputs = _inputs(scenarios)
    raw = _named(ENGINE.run(inputs))
    entries = [SERVICES.index(name) for name in TOPOLOGY.callees("gateway")]
    demand = inputs[1:, INPUTS.index("rate")][..., entries]
    rate = (raw["rate"] / raw["attempts"])[1:][..., entries]
    assert (rate > 0).all()
    shares = rate / rate.sum(axis=-1, keepdims=True)
    assert np.allclose(shares, demand / demand.sum(axis=-1, keepdims=True), rtol=1e-6)


def test_a_calm_gateway_passes_every_request_to_one_entry_service():
    scenario = Scenario("2026-03-10T08:00Z", 240, seed=1, background=False)
    rate = _named(ENGINE.run(_inputs([scenario])))["rate"][:, 0]
    entries = [SERVICES.index(name) for name in TOPOLOGY.callees("gateway")]
    assert np.allclose(rate[:, 0], rate[:, entries].sum(axis=1))


@given(st.floats(0.3, 2.5), st.floats(1.01, 1.3))
@settings(max_examples=30, deadline=None)
def test_latency_and_utilisation_rise_with_load(level, factor):
    def minute(load):
        inputs = ENGINE.resting_inputs(1)
        inputs[INPUTS.index("rate")] *= load
        return _named(ENGINE.step(ENGINE.calm(1), inputs)[1][None])

    low, high = minute(level), minute(level * factor)
    assert (high["own"] >= low["own"]).all() and (high["busy"] > low["busy"]).all()
    assert (high["failure"] >= low["failure"] - 1e-12).all()


def test_latency_and_failures_reach_exactly_those_who_wait():
    sick = SERVICES.index("pricing")
    inputs = ENGINE.resting_inputs(1)
    well = _named(ENGINE.step(ENGINE.calm(1), inputs)[1][None])
    inputs[INPUTS.index("delay"), :, sick] += 50.0
    inputs[INPUTS.index("log_ok"), :, sick] += 0.2
    ill = _named(ENGINE.step(ENGINE.calm(1), inputs)[1][None])
    waiting = {"pricing", *TOPOLOGY.upstream("pricing")}
    assert waiting == {"pricing", "cart", "gateway"}
    for place, name in enumerate(SERVICES):
        slower = ill["latency"][0, 0, place] > well["latency"][0, 0, place] + 1
        failing = ill["failure"][0, 0, place] > well["failure"][0, 0, place] + 1e-3
        assert (slower, failing) == (name in waiting, name in waiting), name


def test_a_leak_ramps_and_restarts_like_a_saw():
    fault = Fault("memory_leak", "payment", start=10, minutes=110, severity=0.9)
    scenario = Scenario("2026-03-10T08:00Z", 120, 1, faults=(fault,), background=False)
    memory = _named(ENGINE.run(_inputs([scenario])))["memory"][:, 0, SERVICES.index("payment")]
    kills = np.flatnonzero(memory >= 1.0)
    assert len(kills) >= 2
    assert (np.diff(memory[10 : kills[0]]) > 0).mean() > 0.9
    assert memory[kills[0] + 1] < 0.6


def test_controls_shed_scale_and_restart():
    inputs = ENGINE.resting_inputs(1)
    plain = _named(ENGINE.step(ENGINE.calm(1), inputs)[1][None])
    neutral = Controls.neutral(1, len(SERVICES))
    same = _named(ENGINE.step(ENGINE.calm(1), inputs, neutral)[1][None])
    assert np.allclose(plain["latency"], same["latency"])

    more = Controls.neutral(1, len(SERVICES))
    more.capacity[:] = 2.0
    assert (_named(ENGINE.step(ENGINE.calm(1), inputs, more)[1][None])["busy"]
            == pytest.approx(plain["busy"] / 2))  # fmt: skip

    leaking = ENGINE.calm(1)
    leaking[MEMORIES.index("leaked")] = 0.2
    restart = Controls.neutral(1, len(SERVICES))
    restart.restart[:] = 1.0
    after, _ = ENGINE.step(leaking, inputs, restart)
    assert (after[MEMORIES.index("leaked")] == 0).all()
