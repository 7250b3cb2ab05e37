"""What actions do: the plain run without any, delays, conservation, right and wrong remedies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.shop import (
    FAULTS,
    METRICS,
    SERVICES,
    TOPOLOGY,
    Deploy,
    Fault,
    Scenario,
    Surge,
    simulate,
)
from course.shop.control import (
    ACTIONS,
    PLACES,
    STEPS,
    WARM_UP,
    Action,
    ControlScenario,
    Incident,
    ShopVectorEnv,
    do_nothing,
    draw_scenarios,
    rollout,
)
from course.shop.control.actions import DELAY, POSSIBLE, QUOTA
from course.shop.control.incidents import BLIP, METASTABLE
from course.shop.control.simulation import Simulation
from course.shop.engine import OUTPUTS
from course.shop.topology import BACKING

PLAIN = sorted(set(PLACES) & set(FAULTS))
STORE = {SERVICES.index(cache): SERVICES.index(store) for cache, store in BACKING.items()}


# --- nobody acts ------------------------------------------------------------------------------


def test_doing_nothing_is_the_plain_run_to_the_byte(mixed) -> None:
    """For every kind of fault of the shop, surges and quiet scenarios."""
    plain = [row for row, s in enumerate(mixed) if s.kind in (*PLAIN, "")]
    assert len(plain) == len(PLAIN) + 1
    envs = ShopVectorEnv(mixed)
    seen = [envs.reset()[0]["metrics"]]
    wait = np.zeros((len(mixed), 3), int)
    seen += [envs.step(wait)[0]["metrics"] for _ in range(STEPS)]
    for row in plain:
        expected = simulate(mixed[row].announced).values[WARM_UP - 1 :]
        found = np.array([minute[row, :, : len(METRICS)] for minute in seen])
        assert found.tobytes() == expected.tobytes(), mixed[row].kind


def test_changes_are_those_of_the_change_log() -> None:
    scenario = next(s for s in draw_scenarios(30, 2, kinds=["bad_deploy"]) if s.kind)
    log = simulate(scenario.announced).events
    simulation = Simulation([scenario])
    simulation.restart()
    wait = np.zeros((1, 3), int)
    while not simulation.over:
        simulation.step(wait)
        now = scenario.shop.start + (simulation.minute - 1) * np.timedelta64(1, "m")
        since = simulation.since_change[0]
        for row in log[log["time"] == now].itertuples():
            kind = ("deploy", "config", "flag", "scale").index(row.kind)
            assert since[SERVICES.index(row.service), kind] == 0
    place = SERVICES.index(scenario.incident.service)
    assert since[place, 0] <= simulation.minute - 1 - scenario.incident.start


# --- delays, failures, preconditions ----------------------------------------------------------


@settings(max_examples=12)
@given(st.integers(0, 2**32), st.sampled_from(list(Action)[1:]), st.integers(1, 3))
def test_an_action_has_no_effect_before_its_delay(seed: int, action: Action, level: int) -> None:
    scenarios = draw_scenarios(2, seed, kinds=["bad_deploy", "metastable"])
    services = np.flatnonzero(POSSIBLE[action])
    service = services[seed % len(services)]
    at = seed % 40
    sides = []
    for acts in (False, True):
        simulation = Simulation(scenarios)
        simulation._luck[:] = 1.0
        simulation.restart()
        seen = []
        while not simulation.over:
            chosen = np.zeros((2, 3), int)
            if acts and simulation.minute - WARM_UP == at:
                chosen[:] = action, service, level
            simulation.step(chosen)
            seen.append(simulation.seen.metrics)
        sides.append(np.array(seen))
        done = len(simulation.records) - sum(r["refused"] for r in simulation.records)
    until = at + DELAY[action, service]
    assert sides[0][:until].tobytes() == sides[1][:until].tobytes()
    if done and action not in (Action.RAISE_LIMIT, Action.SCALE):  # spare room may show nothing
        assert not np.array_equal(sides[0][until : until + 2], sides[1][until : until + 2])


def test_some_actions_fail_and_then_nothing_comes_of_them_but_their_cost() -> None:
    scenario = draw_scenarios(1, 4, kinds=["slow_query"], control_share=0.0)[0]
    place = SERVICES.index(scenario.incident.service)
    simulation = Simulation([scenario])
    runs = {}
    for luck in (0.0, 1.0):
        simulation._luck[:] = luck
        simulation.restart()
        lost, results, cost = [], set(), 0.0
        while not simulation.over:
            go = simulation.minute == scenario.incident.start + 5
            chosen = np.array([[Action.FAIL_OVER if go else 0, place, 0]])
            tally = simulation.step(chosen)
            lost.append(tally.lost[0])
            cost += tally.cost[0]
            results |= set(simulation.result[Action.FAIL_OVER, 0])
        runs[luck] = np.array(lost), results, cost
    nothing = rollout(do_nothing, [scenario]).lost[0]
    assert np.array_equal(runs[0.0][0], nothing) and runs[0.0][1] == {0, 2}
    assert runs[1.0][1] == {0, 1} and not np.array_equal(runs[1.0][0], nothing)
    assert runs[0.0][2] == runs[1.0][2] == ACTIONS[Action.FAIL_OVER].cost


def test_actions_fail_as_often_as_they_say() -> None:
    scenarios = draw_scenarios(60, 12)
    simulation = Simulation(scenarios)
    simulation.restart()
    over = np.zeros(4)
    while not simulation.over:
        chosen = np.tile((Action.FAIL_OVER, simulation.minute % 18, 0), (60, 1))
        simulation.step(chosen)
        over += np.bincount(simulation.result[Action.FAIL_OVER].ravel(), minlength=4)
    assert over[2] / (over[1] + over[2]) == pytest.approx(ACTIONS[Action.FAIL_OVER].fails, abs=0.02)


@pytest.mark.parametrize(
    ("action", "service", "level"),
    [
        (Action.ROLL_BACK, "search", 0),
        (Action.FLUSH_CACHE, "cart", 0),
        (Action.FAIL_OVER, "payment-provider", 0),
        (Action.RESTART, "payment-provider", 0),
        (Action.OPEN_BREAKER, "gateway", 2),
        (Action.SHED, "fulfilment", 2),
        (Action.SHED, "cart", 0),
        (Action.SCALE, "payment-provider", 1),
    ],
)
def test_what_breaks_a_precondition_is_refused_and_does_nothing(action, service, level) -> None:
    scenario = ControlScenario(Scenario("2026-03-11T20:00Z", WARM_UP + STEPS, seed=5))
    nothing = rollout(do_nothing, [scenario]).lost
    simulation = Simulation([scenario])
    simulation.restart()
    lost = []
    while not simulation.over:
        tally = simulation.step(np.array([[action, SERVICES.index(service), level]]))
        lost.append(tally.lost)
        assert simulation.result[action, 0, SERVICES.index(service)] == 3
    assert np.array_equal(np.array(lost).T, nothing)
    assert all(record["refused"] for record in simulation.records)


def test_a_roll_back_needs_a_recent_change_and_works_once() -> None:
    deploys = (Deploy("search", 70, "v7"), Deploy("search", 120, "v8"))
    shop = Scenario("2026-03-11T20:00Z", WARM_UP + STEPS, 5, deploys=deploys, background=False)
    simulation = Simulation([ControlScenario(shop)])
    simulation._luck[:] = 1.0
    simulation.restart()
    refused = {}
    while not simulation.over:
        minute = simulation.minute
        go = minute in (65, 75, 90, 125, 150)
        simulation.step(np.array([[Action.ROLL_BACK if go else 0, SERVICES.index("search"), 0]]))
        if go:
            refused[minute] = simulation.records[-1]["refused"]
    assert refused == {65: True, 75: False, 90: True, 125: False, 150: True}


def test_a_standby_is_used_up() -> None:
    scenario = ControlScenario(Scenario("2026-03-11T20:00Z", WARM_UP + STEPS, seed=5))
    simulation = Simulation([scenario])
    simulation._luck[:] = 1.0
    simulation.restart()
    place = SERVICES.index("orders-db")
    while not simulation.over:
        simulation.step(np.array([[Action.FAIL_OVER, place, 0]]))
    accepted = [r["step"] for r in simulation.records if not r["refused"]]
    assert accepted == [0, 62]


def test_what_is_in_force_ends_by_itself_or_is_taken_back() -> None:
    scenario = ControlScenario(Scenario("2026-03-11T20:00Z", WARM_UP + STEPS, seed=5))
    simulation = Simulation([scenario])
    simulation._luck[:] = 1.0
    simulation.restart()
    place = SERVICES.index("search")
    plan = {0: (Action.SHED, 2), 20: (Action.SCALE, 3), 30: (Action.SCALE, 0),
            40: (Action.OPEN_BREAKER, 2), 60: (Action.SHED, 3), 64: (Action.SHED, 0)}  # fmt: skip
    shed, extra, opened = [], [], []
    for step in range(STEPS):
        action, level = plan.get(step, (0, 0))
        simulation.step(np.array([[action, place, level]]))
        shed.append(simulation.controls.admit[0, place])
        extra.append(simulation.levers.extra[0, place])
        opened.append(simulation.levers.open_left[0, place] > 0)
    shed, extra = np.array(shed), np.array(extra)
    assert np.flatnonzero(shed == 0.5).tolist() == list(range(1, 11))
    assert np.flatnonzero(shed == 0.25).tolist() == list(range(61, 65))
    assert np.flatnonzero(shed == 0.05).tolist() == list(range(41, 47))
    assert np.flatnonzero(extra).tolist() == list(range(23, 31))
    assert extra[23] == min(3, QUOTA[place])


# --- conservation -----------------------------------------------------------------------------


@settings(max_examples=5)
@given(st.integers(0, 2**32))
def test_requests_are_conserved_whatever_is_done(seed: int) -> None:
    """Each service is called as often as its callers that got so far want it, retries included."""
    scenarios = draw_scenarios(4, seed)
    simulation = Simulation(scenarios)
    simulation.restart()
    rng = np.random.default_rng(seed)
    before = None
    entries = [SERVICES.index(name) for name in TOPOLOGY.callees("gateway")]
    while not simulation.over:
        chosen = rng.integers(0, (len(Action), len(SERVICES), 4), (4, 3))
        chosen[rng.random(4) > 0.3] = 0
        simulation.step(chosen)
        raw = dict(zip(OUTPUTS, simulation._outputs, strict=True))
        if before is not None:
            onward = raw["rate"] * (1 - before)
            demand = simulation.engine_inputs[0]
            for place in range(1, len(SERVICES)):
                wanted = (onward * TOPOLOGY.call_matrix[:, place]).sum(axis=-1)
                if place in entries:
                    usual = (demand * TOPOLOGY.call_matrix[:, place]).sum(axis=-1)
                    wanted = wanted * demand[:, place] / usual
                expected = wanted * raw["attempts"][:, place]
                expected += simulation.engine_inputs[1][:, place]
                # Misses and refills come from nowhere in the call graph; some are sent on.
                assert np.allclose(raw["rate"][:, place], expected, rtol=1e-6), SERVICES[place]
        before = raw["lost"]
        assert ((raw["failure"] >= 0) & (raw["failure"] <= 1)).all()


def test_goodput_never_exceeds_what_is_wanted(mixed) -> None:
    envs = ShopVectorEnv(mixed)
    envs.reset()
    rng = np.random.default_rng(0)
    for _ in range(STEPS):
        chosen = rng.integers(0, (len(Action), len(SERVICES), 4), (len(mixed), 3))
        observation, *_ = envs.step(chosen)
        metrics = observation["metrics"]
        assert (metrics[..., 10] <= metrics[..., 0] + 1e-3).all()
        demand = envs.simulation.engine_inputs[0][:, [1, 2, 3, 4, 5]].sum(axis=1)
        assert (envs.tally[-1].good <= demand + 1e-9).all()


# --- remedies ---------------------------------------------------------------------------------

#: The right remedy at the service where it is wrong; its level.
RIGHT = {
    "cpu_saturation": [(Action.RESTART, 0), (Action.FAIL_OVER, 0), (Action.SCALE, 3)],
    "slow_query": [(Action.FAIL_OVER, 0), (Action.SCALE, 3)],
    "pool_exhaustion": [(Action.RAISE_LIMIT, 3), (Action.SCALE, 3)],
    "bad_deploy": [(Action.ROLL_BACK, 0)],
    "bad_config": [(Action.ROLL_BACK, 0)],
    "network_loss": [(Action.FAIL_OVER, 0)],
    "third_party_outage": [(Action.OPEN_BREAKER, 3)],
    "disk_full": [(Action.RAISE_LIMIT, 3)],
    "retry_storm": [(Action.SHED, 2), (Action.OPEN_BREAKER, 2)],
    "noisy_neighbour": [(Action.FAIL_OVER, 0), (Action.SCALE, 3)],
    METASTABLE: [(Action.SHED, 3), (Action.OPEN_BREAKER, 2)],
    "poisoned_cache": [(Action.FLUSH_CACHE, 0), (Action.RESTART, 0)],
}
#: Mistakes that are made.
WRONG = {
    "cpu_saturation": [(Action.ROLL_BACK, 0), (Action.RAISE_LIMIT, 3)],
    "slow_query": [(Action.RESTART, 0), (Action.SHED, 2), (Action.ROLL_BACK, 0)],
    "pool_exhaustion": [(Action.ROLL_BACK, 0), (Action.SHED, 3)],
    "bad_deploy": [(Action.RESTART, 0), (Action.FAIL_OVER, 0), (Action.RAISE_LIMIT, 2)],
    "bad_config": [(Action.RESTART, 0), (Action.FAIL_OVER, 0)],
    "network_loss": [(Action.RESTART, 0), (Action.SCALE, 3), (Action.SHED, 2)],
    "third_party_outage": [(Action.RESTART, 0), (Action.SHED, 2), (Action.FAIL_OVER, 0)],
    "disk_full": [(Action.RESTART, 0), (Action.FAIL_OVER, 0), (Action.SCALE, 2)],
    "retry_storm": [(Action.RESTART, 0), (Action.FAIL_OVER, 0)],
    "noisy_neighbour": [(Action.RESTART, 0), (Action.RAISE_LIMIT, 2)],
    METASTABLE: [(Action.RESTART, 0), (Action.SCALE, 3), (Action.FAIL_OVER, 0)],
    "poisoned_cache": [(Action.SCALE, 3), (Action.FAIL_OVER, 0), (Action.OPEN_BREAKER, 2)],
    "cache_stampede": [(Action.FLUSH_CACHE, 0), (Action.RESTART, 0), (Action.OPEN_BREAKER, 1)],
    BLIP: [(Action.RESTART, 0), (Action.SHED, 3), (Action.SCALE, 3), (Action.FAIL_OVER, 0)],
}


@pytest.mark.parametrize(
    ("kind", "action", "level"), [(k, *a) for k, actions in RIGHT.items() for a in actions]
)
def test_the_right_remedy_saves(bench, kind: str, action: Action, level: int) -> None:
    trial = bench(kind)
    hurt = trial.nothing.sum() - 2.0 * len(trial.scenarios)  # 2 are lost on an ordinary day
    assert trial.saved(action, level).sum() > 0.1 * hurt


@pytest.mark.parametrize(
    ("kind", "action", "level"), [(k, *a) for k, actions in WRONG.items() for a in actions]
)
def test_a_wrong_one_does_not(bench, kind: str, action: Action, level: int) -> None:
    assert bench(kind).saved(action, level).sum() < 0


@pytest.mark.parametrize("kind", sorted(RIGHT))
def test_the_right_remedy_at_a_wrong_service_does_nothing_good(bench, kind: str) -> None:
    trial = bench(kind)
    away = np.full(len(trial.home), SERVICES.index("recommendation"))
    action, level = RIGHT[kind][0]
    assert trial.saved(action, level, where=away).sum() < 0


def test_a_restart_ends_a_leak_for_a_while(bench) -> None:
    trial = bench("memory_leak")
    memory = OUTPUTS.index("memory")

    def nearly_full(simulation: Simulation) -> np.ndarray:
        rows = np.arange(len(trial.home))
        full = simulation._outputs[memory, rows, trial.home] > 0.84
        return full & (simulation.levers.due[Action.RESTART].sum(axis=1) == 0)

    assert trial.saved(Action.RESTART, when=nearly_full).sum() > 0
    levels = []
    simulation = trial.simulation
    simulation.restart()
    while not simulation.over:
        chosen = np.zeros((len(trial.home), 3), int)
        go = nearly_full(simulation)
        chosen[go, 0], chosen[go, 1] = Action.RESTART, trial.home[go]
        simulation.step(chosen)
        levels.append(simulation._outputs[memory, 0, trial.home[0]])
    drops = np.diff(levels) < -0.1
    assert drops.sum() >= 2, "the leak goes on after a restart"
    assert max(levels) < 1.0, "and never kills"


def test_a_pool_runs_out_again_after_a_restart(bench) -> None:
    trial = bench("pool_exhaustion")
    once = trial.saved(Action.RESTART).sum()
    often = trial.saved(
        Action.RESTART,
        when=lambda s: ((s.minute - trial.start) % 12 == 8) & (s.minute > trial.start),
    ).sum()
    assert 0 < once < often


def test_more_store_helps_against_a_stampede(bench) -> None:
    trial = bench("cache_stampede")
    store = np.array([STORE[place] for place in trial.home])
    assert trial.saved(Action.SCALE, 1, where=store).sum() > 0


@pytest.mark.parametrize("cache", list(BACKING))
def test_a_flush_makes_the_store_work_harder_for_a_while(cache: str) -> None:
    shop = Scenario("2026-03-11T14:00Z", WARM_UP + STEPS, 5, background=False)
    simulation = Simulation([ControlScenario(shop)])
    simulation._luck[:] = 1.0
    simulation.restart()
    busy, store = OUTPUTS.index("busy"), SERVICES.index(BACKING[cache])
    seen = []
    for step in range(40):
        action = Action.FLUSH_CACHE if step == 10 else 0
        simulation.step(np.array([[action, SERVICES.index(cache), 0]]))
        seen.append(simulation._outputs[busy, 0, store])
    assert max(seen[11:16]) > 1.5 * max(seen[:11])
    assert np.mean(seen[-5:]) == pytest.approx(np.mean(seen[:10]), rel=0.15)


# --- metastable failures ----------------------------------------------------------------------


def test_an_overload_stays_until_the_load_is_cut(bench) -> None:
    trial = bench(METASTABLE)
    at_end = slice(-15, None)
    assert (trial.nothing[:, at_end].mean(axis=1) > 0.15).all()
    for action, level in ((Action.SHED, 3), (Action.OPEN_BREAKER, 2)):
        assert (trial.lost(action, level)[:, at_end].mean(axis=1) < 0.1).all(), action
    for action in (Action.RESTART, Action.SCALE, Action.FAIL_OVER, Action.RAISE_LIMIT):
        assert (trial.lost(action, 3)[:, at_end].mean(axis=1) > 0.15).all(), action


def test_the_same_trigger_passes_where_callers_back_off(bench) -> None:
    trial = bench(BLIP)
    start = trial.start - WARM_UP
    for row, lost in enumerate(trial.nothing):
        assert lost[start[row] + 20 :].mean() < 0.1
        assert lost[start[row] : start[row] + 8].max() > 0.2


def test_retries_and_goodput_show_it(bench) -> None:
    """In the overload most calls are retries and goodput collapses, though demand is as before."""
    trial = bench(METASTABLE)
    simulation = trial.simulation
    simulation.restart()
    rows = np.arange(len(trial.home))
    seen = []
    while not simulation.over:
        simulation.step(np.zeros((len(rows), 3), int))
        seen.append(simulation.seen.metrics[rows, trial.home])
    seen = np.array(seen)  # [step, scenario, metric]
    assert (seen[:5, :, 9] < 0.05).all() and (seen[-10:, :, 9] > 0.5).all()
    assert (seen[-10:, :, 10].mean(axis=0) < 0.7 * seen[:5, :, 10].mean(axis=0)).all()
    assert (seen[-10:, :, 0].mean(axis=0) > 1.5 * seen[:5, :, 0].mean(axis=0)).all()


# --- scenarios --------------------------------------------------------------------------------


def test_controls_have_something_to_be_fooled_by() -> None:
    drawn = draw_scenarios(200, 6, control_share=1.0)
    assert not any(scenario.faulty for scenario in drawn)
    shares = [
        np.mean([s.kind == BLIP for s in drawn]),
        np.mean([bool(s.shop.deploys) for s in drawn]),
        np.mean([s.kind != BLIP and bool(s.shop.surges) for s in drawn]),
    ]
    assert shares[0] == pytest.approx(0.25, abs=0.08)
    assert shares[1] == pytest.approx(0.25, abs=0.08)
    assert shares[2] >= 0.5


def test_onset_length_and_place_are_random() -> None:
    drawn = [s.incident for s in draw_scenarios(300, 6, control_share=0.0)]
    starts = np.array([i.start for i in drawn])
    assert starts.min() < WARM_UP + 13 and starts.max() > WARM_UP + 47
    assert len({i.service for i in drawn}) >= 15
    assert {i.kind for i in drawn} == {kind for kind in PLACES if kind != BLIP}
    assert len({i.minutes for i in drawn}) > 40


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Incident("flood", "cart", 70, 40), "unknown kind"),
        (lambda: Incident("metastable", "orders-db", 70, 40), "can't strike"),
        (lambda: Incident("slow_query", "cart", 70, 40), "can't strike"),
        (lambda: Incident("metastable", "cart", 70, 40, 1.5), "severity is 1.5"),
        (lambda: ControlScenario(Scenario("2026-03-11T20:00Z", 120, 5)), "180 together"),
        (lambda: ControlScenario(_shop(), Incident("metastable", "cart", 30, 40)), "within 60"),
        (lambda: ControlScenario(_shop(), Incident("metastable", "cart", 160, 40)), "within 60"),
        (lambda: ControlScenario(replace(_shop(), faults=(_FAULT,))), "one incident instead"),
        (lambda: draw_scenarios(-1, 1), "n is -1"),
        (lambda: draw_scenarios(1, 1, kinds=["flood"]), "unknown kind"),
        (lambda: draw_scenarios(1, 1, kinds=[]), "kinds is empty"),
        (lambda: draw_scenarios(1, 1, severity=(0.9, 0.2)), "low <= high"),
        (lambda: draw_scenarios(1, 1, control_share=2), "control_share is 2"),
        (lambda: ShopVectorEnv([]), "no scenarios"),
    ],
)
def test_what_can_not_be_is_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


_FAULT = Fault("slow_query", "orders-db", 70, 40)


def _shop() -> Scenario:
    return Scenario("2026-03-11T20:00Z", WARM_UP + STEPS, 5, surges=(Surge("bot_crawl", 70, 30),))
