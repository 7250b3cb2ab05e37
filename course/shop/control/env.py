"""The shop as Gymnasium environments: one episode, or many in one array step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from course.shop.control.actions import LEVELS, Action
from course.shop.control.incidents import ControlScenario, draw_scenarios
from course.shop.control.levers import REFUSED
from course.shop.control.simulation import CHANGES, NO_CHANGE, Simulation, Tally
from course.shop.control.telemetry import CONTROL_METRICS
from course.shop.topology import SERVICES
from course.shop.workload import JOURNEYS

#: What the field "levers" of an observation shows, in its order.
LEVERS = ("replicas_added", "shed", "breaker_minutes", "limit", "standby_minutes")
_N, _A = len(SERVICES), len(Action)
_MOST = 1e7  # no metric reaches it

Observation = dict[str, np.ndarray]


def action_space() -> gym.spaces.MultiDiscrete:
    """Number of the `Action`, place of the service in `SERVICES`, level 0..3."""
    return gym.spaces.MultiDiscrete([_A, _N, LEVELS])


def observation_space() -> gym.spaces.Dict:
    """Return the space of an observation, field by field.

    ``metrics`` : [service, metric of `CONTROL_METRICS`], of the last minute. Units: requests per
        second (request_rate, goodput), milliseconds (latency_p50_ms, latency_p99_ms), requests
        (queue_length), and shares 0..1 (all others). retry_ratio is the share of the requests that
        are retries, goodput counts those that succeeded. Behind an open breaker request_rate counts
        the probes alone, error_ratio all calls that the callers wanted.
    ``usual``, ``deviation`` : the same shape and units: median, and 1.4826 x median absolute
        deviation, over the 60 minutes before the episode.
    ``bad_ratio`` : [journey of `JOURNEYS`]: share of the users' requests of the last minute that
        failed or took longer than `OBJECTIVE_MS`, as counted.
    ``changes`` : [service, kind of `CHANGES`]: minutes since the last change, 240 if there was none.
    ``levers`` : [service, `LEVERS`]: replicas added, share of requests shed (0..1), minutes for
        which the breaker stays open at least, factor on the limits (1 is usual), minutes until there
        is a standby again.
    ``pending`` : [action, service]: minutes until an action takes effect, 0 if none is on its way.
    ``result`` : [action, service]: what became of an action in the last minute: 0 nothing, 1 took
        effect, 2 failed, 3 was refused.
    ``clock`` : minute of the day (0..1439) and day of the week (0 is Monday), UTC.
    """

    def box(low: float, high: float, *shape: int, whole: bool = False) -> gym.spaces.Box:
        return gym.spaces.Box(low, high, shape, dtype=np.int64 if whole else np.float64)

    shape = (_N, len(CONTROL_METRICS))
    return gym.spaces.Dict({
        "metrics": box(0, _MOST, *shape),
        "usual": box(0, _MOST, *shape),
        "deviation": box(0, _MOST, *shape),
        "bad_ratio": box(0, 1, len(JOURNEYS)),
        "changes": box(0, NO_CHANGE, _N, len(CHANGES), whole=True),
        "levers": box(0, 240, _N, len(LEVERS)),
        "pending": box(0, 60, _A, _N, whole=True),
        "result": box(0, REFUSED, _A, _N, whole=True),
        "clock": box(0, 1439, 2, whole=True),
    })  # fmt: skip


class ShopVectorEnv(VectorEnv):
    """Many episodes side by side: one array step a minute, the same results as each alone.

    Parameters
    ----------
    scenarios : sequence of ControlScenario, optional
        One an environment. By default every reset draws new ones from its seed.
    num_envs : int
        How many to draw; given scenarios decide it themselves.
    draw : dict, optional
        Arguments of `draw_scenarios`.

    Notes
    -----
    All episodes end together (truncated) after `STEPS` steps; nothing resets by itself. The reward
    of a minute is minus the SLO minutes lost and charged: the sum over the five journeys of the share
    of bad requests, and the costs of `ACTIONS`. ``info`` is empty.

    Examples
    --------
    >>> envs = ShopVectorEnv(draw_scenarios(64, seed=1))
    >>> observation, _ = envs.reset()
    >>> wait = np.zeros((64, 3), dtype=int)
    >>> observation, reward, _, _, _ = envs.step(wait)
    >>> observation["metrics"].shape, reward.shape
    ((64, 19, 11), (64,))
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.DISABLED, "render_modes": []}

    def __init__(
        self,
        scenarios: Sequence[ControlScenario] | None = None,
        num_envs: int = 64,
        draw: dict[str, Any] | None = None,
    ) -> None:
        self._fixed = None if scenarios is None else tuple(scenarios)
        self._draw = dict(draw or {})
        self.num_envs = num_envs if self._fixed is None else len(self._fixed)
        if self.num_envs < 1:
            raise ValueError("there are no scenarios; give at least one")
        self.single_observation_space = observation_space()
        self.single_action_space = action_space()
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._simulation: Simulation | None = None

    @property
    def simulation(self) -> Simulation:
        """The batch; it knows the truth, so keep it away from a policy."""
        if self._simulation is None:
            raise gym.error.ResetNeeded("call reset() before step()")
        return self._simulation

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin all episodes; with given scenarios again the same ones."""
        super().reset(seed=seed)
        if self._fixed is None:
            drawn = draw_scenarios(self.num_envs, int(self.np_random.integers(2**63)), **self._draw)
            self._simulation = Simulation(drawn)
        elif self._simulation is None:
            self._simulation = Simulation(self._fixed)
        self._simulation.restart()
        self.tally: list[Tally] = []
        return self._observe(), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Act in every episode, then let a minute pass.

        Parameters
        ----------
        actions : np.ndarray
            [episode, (action, service, level)] of int.
        """
        simulation = self.simulation
        if simulation.over:
            raise gym.error.ResetNeeded("the episodes are over; call reset()")
        tally = simulation.step(_checked(actions, self.num_envs))
        self.tally.append(tally)
        over = np.full(self.num_envs, simulation.over)
        return self._observe(), -(tally.lost + tally.cost), np.zeros_like(over), over, {}

    def _observe(self) -> Observation:
        simulation = self.simulation
        levers = simulation.levers
        shown = (levers.extra, levers.shed, levers.open_left, levers.limit, levers.standby_left)
        return {
            "metrics": simulation.seen.metrics.copy(),
            "usual": simulation.usual.copy(),
            "deviation": simulation.deviation.copy(),
            "bad_ratio": simulation.seen.bad_ratio.copy(),
            "changes": simulation.since_change.copy(),
            "levers": np.stack(shown, axis=-1).astype(float),
            "pending": levers.due.swapaxes(0, 1).copy(),
            "result": simulation.result.swapaxes(0, 1).copy(),
            "clock": simulation.clock,
        }


class ShopEnv(gym.Env):
    """One episode: two hours of the shop in which you may act once a minute.

    Actions, observations and rewards are those of `action_space`, `observation_space` and
    `ShopVectorEnv`.

    Parameters
    ----------
    scenario : ControlScenario, optional
        By default every reset draws one from its seed.
    draw : dict, optional
        Arguments of `draw_scenarios`.

    Examples
    --------
    >>> env = ShopEnv()
    >>> observation, info = env.reset(seed=3)
    >>> restart_cart = (Action.RESTART, SERVICES.index("cart"), 0)
    >>> observation, reward, terminated, truncated, info = env.step(restart_cart)
    >>> int(observation["pending"][Action.RESTART, SERVICES.index("cart")]), info
    (2, {})
    """

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(
        self, scenario: ControlScenario | None = None, draw: dict[str, Any] | None = None
    ) -> None:
        self.observation_space = observation_space()
        self.action_space = action_space()
        fixed = None if scenario is None else [scenario]
        self._batch = ShopVectorEnv(fixed, num_envs=1, draw=draw)

    @property
    def simulation(self) -> Simulation:
        """The simulation; it knows the truth, so keep it away from a policy."""
        return self._batch.simulation

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin the episode."""
        super().reset(seed=seed)
        drawn = None if self._batch._fixed else int(self.np_random.integers(2**31))
        observation, info = self._batch.reset(seed=drawn)
        return _first(observation), info

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Act, then let a minute pass."""
        observation, reward, _, over, info = self._batch.step(np.asarray(action)[None])
        return _first(observation), float(reward[0]), False, bool(over[0]), info


def _first(observation: Observation) -> Observation:
    return {name: values[0] for name, values in observation.items()}


def _checked(actions: Any, scenarios: int) -> np.ndarray:
    chosen = np.asarray(actions)
    if chosen.shape != (scenarios, 3) or chosen.dtype.kind not in "iu":
        raise ValueError(
            f"actions must be integers of shape ({scenarios}, 3): action, service, level for each "
            f"scenario; found {chosen.dtype} of shape {chosen.shape}"
        )
    if (chosen < 0).any() or (chosen >= (_A, _N, LEVELS)).any():
        row = int(np.argmax(((chosen < 0) | (chosen >= (_A, _N, LEVELS))).any(axis=1)))
        raise ValueError(
            f"action {chosen[row].tolist()} of scenario {row} does not exist; allowed are "
            f"0..{_A - 1}, 0..{_N - 1}, 0..{LEVELS - 1}"
        )
    return chosen
