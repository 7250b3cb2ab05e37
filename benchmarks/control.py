"""Measure the shop under control: one array step against single steps, and a hundred episodes.

python -m benchmarks.control                    64 scenarios
python -m benchmarks.control --scenarios 100
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from course.shop.control import (
    STEPS,
    ShopEnv,
    ShopVectorEnv,
    action_space,
    do_nothing,
    draw_scenarios,
    rollout,
)


def seconds(job: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds of a job."""
    wall, cpu = time.perf_counter(), time.process_time()
    job()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    """Time both forms over the same scenarios and actions, and print the ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.control", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--scenarios", type=int, default=64)
    parser.add_argument("--single", type=int, default=4, help="episodes of the single form")
    options = parser.parse_args()
    scenarios = draw_scenarios(options.scenarios, seed=1)
    envs = ShopVectorEnv(scenarios)
    wall, cpu = seconds(lambda: envs.reset())
    print(f"first reset of {options.scenarios} scenarios: {wall:.2f} s ({cpu:.2f} s CPU)")
    actions = _actions(options.scenarios)
    wall, together = seconds(lambda: [envs.step(chosen) for chosen in actions])
    print(f"{STEPS} array steps: {wall:.2f} s ({together:.2f} s CPU)")

    singles = [ShopEnv(scenario) for scenario in scenarios[: options.single]]
    for env in singles:
        env.reset()

    def one_by_one() -> None:
        for row, env in enumerate(singles):
            for chosen in actions[:, row]:
                env.step(chosen)

    wall, cpu = seconds(one_by_one)
    each = cpu / len(singles)
    print(f"{STEPS} single steps of one scenario: {wall / len(singles):.2f} s ({each:.2f} s CPU)")
    print(f"ratio {each * options.scenarios / together:.1f}")

    hundred = draw_scenarios(100, seed=2)
    wall, cpu = seconds(lambda: rollout(do_nothing, hundred))
    print(f"100 unseen scenarios, prepared and run in closed loop: {wall:.2f} s ({cpu:.2f} s CPU)")


def _actions(scenarios: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    chosen = rng.integers(0, action_space().nvec, (STEPS, scenarios, 3))
    chosen[rng.random((STEPS, scenarios)) > 0.1] = 0
    return chosen


if __name__ == "__main__":
    main()
