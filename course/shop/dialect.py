"""Logs that nobody has seen: the shop's lines, worded anew by teams that a seed invents.

The shop decides which statement is logged when, so that a few make up most of the lines and others
come a handful of times. The wording of each statement is drawn from its own seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from course.shop import seeds
from course.shop.draw import draw_incidents
from course.shop.simulator import simulate

#: Words of the statements, unless others are given.
WORDS = [
    "accepted",
    "account",
    "active",
    "address",
    "archive",
    "audit",
    "balance",
    "batch",
    "began",
    "bucket",
    "buffer",
    "bundle",
    "cache",
    "cancelled",
    "channel",
    "charge",
    "cleaned",
    "closed",
    "cluster",
    "commit",
    "complete",
    "config",
    "consumer",
    "cursor",
    "customer",
    "deadline",
    "declined",
    "delayed",
    "delivered",
    "denied",
    "drained",
    "dropped",
    "elected",
    "entry",
    "expired",
    "export",
    "fetched",
    "filter",
    "finished",
    "flushed",
    "follower",
    "frame",
    "gateway",
    "granted",
    "handle",
    "handshake",
    "header",
    "held",
    "import",
    "index",
    "invoice",
    "item",
    "joined",
    "journal",
    "label",
    "leader",
    "ledger",
    "loaded",
    "locked",
    "lookup",
    "merged",
    "metric",
    "missing",
    "moved",
    "offset",
    "opened",
    "order",
    "packet",
    "parsed",
    "partition",
    "pending",
    "picked",
    "pool",
    "price",
    "printed",
    "producer",
    "promoted",
    "pruned",
    "pushed",
    "queue",
    "quota",
    "range",
    "rebuilt",
    "received",
    "record",
    "refund",
    "rejected",
    "released",
    "reload",
    "renewed",
    "replica",
    "report",
    "reserved",
    "reset",
    "resolved",
    "restored",
    "resumed",
    "retry",
    "rotated",
    "route",
    "sealed",
    "segment",
    "sent",
    "session",
    "shard",
    "shipped",
    "signal",
    "skipped",
    "snapshot",
    "started",
    "stock",
    "stopped",
    "stored",
    "stream",
    "sweep",
    "switched",
    "synced",
    "table",
    "token",
    "topic",
    "transfer",
    "trimmed",
    "unlocked",
    "update",
    "upload",
    "validated",
    "vault",
    "verified",
    "voucher",
    "waiting",
    "warehouse",
    "worker",
    "written",
    "zone",
]
_NAMES = [
    "amara",
    "bela",
    "chidi",
    "dana",
    "emre",
    "farid",
    "gita",
    "hana",
    "igor",
    "jana",
    "karim",
    "lena",
    "mateo",
    "nadia",
    "omar",
    "petra",
    "quinn",
    "rosa",
    "sami",
    "tara",
    "uma",
    "viktor",
    "wen",
    "xenia",
    "yusuf",
    "zara",
    "anouk",
    "bruno",
    "celia",
    "davor",
    "elif",
    "fabio",
    "greta",
    "hugo",
    "ines",
    "jonas",
    "kira",
    "luca",
    "mina",
    "noor",
    "otto",
    "paola",
    "ravi",
    "selma",
    "tomas",
    "ursula",
    "vera",
    "wanda",
    "yara",
    "zoltan",
]
_REASONS = (
    "no route to host", "connection refused", "timed out", "broken pipe", "name not resolved",
    "too many open files", "peer went away", "handshake failed", "certificate has expired",
)  # fmt: skip
_FILES = ["orders", "prices", "stock", "carts", "users", "images", "labels", "reports"]
_UNITS = ("ms", "s", "KiB", "MiB", "%")

Draw = Callable[[np.random.Generator], str]


def _hex(rng: np.random.Generator, digits: int) -> str:
    return "".join("0123456789abcdef"[i] for i in rng.integers(0, 16, digits))


def _list(rng: np.random.Generator) -> str:
    words = rng.choice(_FILES, int(rng.integers(1, 5)), replace=False)
    return f"[{', '.join(words)}]"


#: What stands in for a parameter. Some hold blanks, some hold no digit.
_PARAMETERS: dict[str, Draw] = {
    "number": lambda rng: str(rng.integers(1, 100_000)),
    "negative": lambda rng: str(rng.integers(-50, 50)),
    "duration": lambda rng: f"{rng.gamma(2.0, 20.0):.1f}{rng.choice(('ms', 's'))}",
    "measure": lambda rng: f"{rng.gamma(2.0, 20.0):.2f} {rng.choice(_UNITS)}",
    "address": lambda rng: f"10.{rng.integers(8)}.{rng.integers(250)}.{rng.integers(250)}"
    + (f":{rng.integers(1024, 65536)}" if rng.random() < 0.5 else ""),
    "hex": lambda rng: f"0x{_hex(rng, 8)}",
    "trace": lambda rng: _hex(rng, 16),
    "uuid": lambda rng: "-".join(_hex(rng, n) for n in (8, 4, 4, 4, 12)),
    "path": lambda rng: f"/var/{rng.choice(_FILES)}/{rng.choice(_FILES)}"
    + (f"-{rng.integers(100)}.log" if rng.random() < 0.5 else ".conf"),
    "quoted": lambda rng: f'"{rng.choice(_REASONS)}"',
    "list": _list,
    "name": lambda rng: str(rng.choice(_NAMES)),
}  # fmt: skip


@dataclass(frozen=True)
class _Statement:
    """Tokens of a statement: words, and parameters by name with what stands before and after."""

    tokens: tuple[str | tuple[str, str, str], ...]

    def line(self, rng: np.random.Generator) -> str:
        parts = [
            token if isinstance(token, str) else f"{token[0]}{_PARAMETERS[token[1]](rng)}{token[2]}"
            for token in self.tokens
        ]
        return " ".join(parts)


def unseen_log(seed: int, *, lines: int = 2000, words: Sequence[str] = WORDS) -> pd.DataFrame:
    """Return the log of a few minutes of the shop in statements that the seed invents.

    Parameters
    ----------
    seed : int
        Decides the statements and what is logged.
    lines : int
        At most so many, drawn from what the shop logged.
    words : sequence of str
        Words that the statements are made of, a hundred or more.

    Returns
    -------
    DataFrame
        In order of time: `time` (UTC), `service`, `message`, and `statement`, the number of the
        statement that wrote the line: the truth.

    Notes
    -----
    Two different statements with as many words differ within the first two words, or in at least
    half of the words that are not parameters.

    Examples
    --------
    >>> log = unseen_log(3, lines=200)
    >>> len(log), list(log.columns)
    (200, ['time', 'service', 'message', 'statement'])
    """
    rng = seeds.stream(seed, seeds.REQUESTS, lines, 7)
    (scenario,) = draw_incidents(
        1, int(rng.integers(2**63)), minutes=60, severity=(0.8, 1.0), kinds=_LOUD
    )
    fault = scenario.faults[0]
    recording = simulate(scenario)
    at = [scenario.index[max(fault.start - 5, 0)], scenario.index[fault.start + 4]]
    seen = pd.concat(recording.logs(t, t + pd.Timedelta("2min")) for t in at)
    seen = seen.iloc[np.sort(rng.permutation(len(seen))[:lines])]
    keys = pd.factorize(seen["service"] + " " + seen["template_id"], sort=True)[0]
    # A service writes some statements besides: one line of a common one is another's in a while.
    besides = rng.random(len(seen)) < 0.35
    keys = np.where(besides, keys.max() + 1 + _rare(rng, len(seen)), keys)
    numbers = pd.factorize(keys)[0]
    statements = _statements(rng, int(numbers.max()) + 1, words)
    return pd.DataFrame(
        {
            "time": seen["time"].to_numpy(),
            "service": seen["service"].to_numpy(),
            "message": [statements[number].line(rng) for number in numbers],
            "statement": numbers,
        }
    )


#: Faults that write errors at once.
_LOUD = ("bad_deploy", "network_loss", "third_party_outage", "retry_storm")


def _rare(rng: np.random.Generator, n: int) -> np.ndarray:
    """Numbers of further statements, forty of them, from common to rare."""
    weight = 1 / np.arange(1, 41) ** 1.1
    return rng.choice(40, n, p=weight / weight.sum())


def _statements(rng: np.random.Generator, n: int, words: Sequence[str]) -> list[_Statement]:
    """Draw statements; every third is the sibling of the one before."""
    found: list[_Statement] = []
    openings: set[tuple[str, ...]] = set()
    while len(found) < n:
        sibling = found[-1].tokens if found and rng.random() < 0.35 else None
        if sibling is not None and len(found) % 2:
            # As many words, the same parameters in the same places, the same opening: other words.
            plain = [p for p, token in enumerate(sibling) if isinstance(token, str) and p > 1]
            tokens = list(sibling)
            for place, word in zip(plain, _some(rng, words, len(plain)), strict=True):
                tokens[place] = word
            if len(plain) >= 4:
                found.append(_Statement(tuple(tokens)))
                continue
        if sibling is not None and isinstance(sibling[1], str):
            # A twin: one word apart, within the opening.
            tokens = list(sibling)
            tokens[1] = _some(rng, words, 1)[0]
        else:
            tokens = _tokens(rng, words)
        opening = tuple(t if isinstance(t, str) else "*" for t in tokens[:2])
        opening = (str(len(tokens)), *opening)
        if opening not in openings:
            openings.add(opening)
            found.append(_Statement(tuple(tokens)))
    return found


def _tokens(rng: np.random.Generator, words: Sequence[str]) -> list[str | tuple[str, str, str]]:
    plain = _some(rng, words, int(rng.integers(5, 9)))
    tokens: list[str | tuple[str, str, str]] = [*plain]
    if rng.random() < 0.25:
        tokens[0] = (f"{plain[0]}-", "number", "")
    kinds = list(_PARAMETERS)
    for _ in range(int(rng.integers(1, 5))):
        kind = str(rng.choice(kinds))
        before, after = (("", ""), (f"{_some(rng, words, 1)[0]}=", ""), ("(", ")"), ("", ","))[
            int(rng.integers(4))
        ]
        tokens.insert(int(rng.integers(2, len(tokens) + 1)), (before, kind, after))
    return tokens


def _some(rng: np.random.Generator, words: Sequence[str], n: int) -> list[str]:
    return [str(word) for word in rng.choice(np.asarray(words), n, replace=False)]
