"""Ask a real Prometheus for rates and quantiles: ``python -m tests.telemetry.prometheus.record_queries``.

Counters and histograms are drawn as the hidden checks of month 2 draw theirs, from other seeds.
Staleness markers can't be backfilled and are left out.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from course.lessons.month_02.checks.prometheus import (
    KINDS,
    Counter,
    make_counter,
    make_histogram,
)
from tests.telemetry.prometheus import server

PATH = Path(__file__).with_name("queries.json.gz")
COUNTERS, HISTOGRAMS = 60, 320
START = 1_772_323_200_000  # 2026-03-01, in milliseconds


@dataclass(frozen=True)
class Questions:
    """What is asked.

    Attributes
    ----------
    counters : list of Counter
        The first half keeps clear of samples at the ends of windows.
    histograms : list of (float, list)
        A quantile and the buckets: upper bound and cumulative count.
    """

    counters: list[Counter]
    histograms: list[tuple[float, list[tuple[float, float]]]]


def make_questions(seed: int, counters: int, histograms: int) -> Questions:
    """The questions of a seed."""
    rng = np.random.default_rng(seed)
    return Questions(
        [_moved(make_counter(rng, aligned=2 * n >= counters)) for n in range(counters)],
        [make_histogram(rng, list(KINDS)[n % len(KINDS)]) for n in range(histograms)],
    )


def _moved(counter: Counter) -> Counter:
    """The counter without markers, near START."""
    shift = (counter.samples[0][0] - START) // 60_000 * 60_000
    kept = [(time - shift, value) for time, value in counter.samples if value == value]
    return Counter(kept, [end - shift for end in counter.ends], counter.width)


def _samples(questions: Questions) -> Iterator[server.Sample]:
    for number, counter in enumerate(questions.counters):
        for time, value in counter.samples:
            yield f'counter{{n="{number}"}}', time, value
    for number, (_, buckets) in enumerate(questions.histograms):
        for bound, count in buckets:
            le = "+Inf" if bound == float("inf") else repr(bound)
            yield f'histogram_bucket{{n="{number}",le="{le}"}}', START, count


def answers(questions: Questions) -> dict[str, Any]:
    """What Prometheus says: `rates` by counter and window, `quantiles` by histogram."""
    with server.serving(_samples(questions)) as prometheus:
        return {
            "rates": [
                [
                    server.written(prometheus.ask(f'rate(counter{{n="{n}"}}[{c.width}ms])', end))
                    for end in c.ends
                ]
                for n, c in enumerate(questions.counters)
            ],
            "quantiles": [
                server.written(
                    prometheus.ask(
                        f'histogram_quantile({_number(q)}, histogram_bucket{{n="{n}"}})', START
                    )
                )
                for n, (q, _) in enumerate(questions.histograms)
            ],
        }


def _number(q: float) -> str:
    return {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}.get(repr(q), repr(q))


def load() -> tuple[Questions, dict[str, Any]]:
    """The recorded questions and their answers."""
    document = json.loads(gzip.decompress(PATH.read_bytes()))
    questions = Questions(
        [
            Counter([(time, value) for time, value in samples], ends, width)
            for samples, ends, width in document["counters"]
        ],
        [
            (float(q), [(float(bound), count) for bound, count in buckets])
            for q, buckets in document["histograms"]
        ],
    )
    return questions, document["answers"]


def main() -> None:
    """Record all answers."""
    questions = make_questions(20260301, COUNTERS, HISTOGRAMS)
    document = {
        "prometheus": server.version(),
        "counters": [[c.samples, c.ends, c.width] for c in questions.counters],
        "histograms": [
            [server.written(q), [[server.written(bound), count] for bound, count in buckets]]
            for q, buckets in questions.histograms
        ],
        "answers": answers(questions),
    }
    text = json.dumps(document, separators=(",", ":"), sort_keys=True, allow_nan=False)
    PATH.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{document['prometheus']}: {PATH.stat().st_size} bytes in {PATH.name}")


if __name__ == "__main__":
    main()
