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
#: Names of users, unless others are given.
NAMES = [
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
_Tokens = tuple[str | tuple[str, str, str], ...]


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
}  # fmt: skip


#: The parameter that looks like a word.
_NAME = "name"


@dataclass(frozen=True)
class _Statement:
    """Tokens of a statement: words, and parameters by name with what stands before and after."""

    tokens: _Tokens

    def line(self, rng: np.random.Generator, names: Sequence[str]) -> str:
        parts = []
        for token in self.tokens:
            if isinstance(token, str):
                parts.append(token)
            else:
                before, kind, after = token
                value = str(rng.choice(names)) if kind == _NAME else _PARAMETERS[kind](rng)
                parts.append(f"{before}{value}{after}")
        return " ".join(parts)


def unseen_log(
    seed: int,
    *,
    lines: int = 2000,
    words: Sequence[str] = WORDS,
    names: Sequence[str] = NAMES,
) -> pd.DataFrame:
    """Return the log of a few minutes of the shop in statements that the seed invents.

    Parameters
    ----------
    seed : int
        Decides the statements and what is logged.
    lines : int
        At most so many, drawn from what the shop logged.
    words : sequence of str
        Words that the statements are made of, a hundred or more.
    names : sequence of str
        Names of users: parameters that look like words.

    Returns
    -------
    DataFrame
        In order of time: `time` (UTC), `service`, `message`, and `statement`, the number of the
        statement that wrote the line: the truth.

    Notes
    -----
    Two statements with as many tokens differ within the first two words, or in at least two thirds
    of the later words that are not parameters. A token is a word, or a parameter with what stands
    before and after it; some parameters hold blanks.

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
            "message": [statements[number].line(rng, names) for number in numbers],
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
    """Draw statements: some are siblings or twins of the one before."""
    found: list[_Statement] = []
    openings: set[tuple[str, ...]] = set()
    while len(found) < n:
        before = found[-1].tokens if found else None
        relation = str(rng.choice(["none", "sibling", "twin"], p=[0.25, 0.6, 0.15]))
        if before is not None and relation == "sibling":
            tokens = _sibling(rng, before, words)
            if tokens is not None:
                if all(_apart(tokens, statement.tokens) for statement in found):
                    found.append(_Statement(tokens))
                continue
        if before is not None and relation == "twin" and isinstance(before[1], str):
            # One word apart, within the opening.
            tokens = (before[0], _some(rng, words, 1)[0], *before[2:])
        else:
            tokens = _tokens(rng, words)
        opening = (str(len(tokens)), *(t if isinstance(t, str) else "*" for t in tokens[:2]))
        if opening not in openings:
            openings.add(opening)
            found.append(_Statement(tokens))
    return found


def _sibling(rng: np.random.Generator, tokens: _Tokens, words: Sequence[str]) -> _Tokens | None:
    """Draw a statement with the same opening and the same parameters, as long, but of other words.

    At least two thirds of the later words are others; None where there are fewer than four.
    """
    plain = [p for p, token in enumerate(tokens) if isinstance(token, str) and p > 1]
    if len(plain) < 4:
        return None
    changed = rng.permutation(plain)[: int(rng.integers(-(-2 * len(plain) // 3), len(plain) + 1))]
    new = list(tokens)
    own = {token for token in tokens if isinstance(token, str)}
    fresh = [word for word in _some(rng, words, len(words)) if word not in own]
    for place, word in zip(changed.tolist(), fresh, strict=False):
        new[place] = word
    return tuple(new)


def _apart(one: _Tokens, other: _Tokens) -> bool:
    """Whether two statements differ in length, opening or at least two thirds of the later words."""
    if len(one) != len(other) or one[:2] != other[:2]:
        return True
    later = [(a, b) for a, b in zip(one[2:], other[2:], strict=True) if isinstance(a, str)]
    return 3 * sum(a != b for a, b in later) >= 2 * len(later)


def _tokens(rng: np.random.Generator, words: Sequence[str]) -> _Tokens:
    plain = _some(rng, words, int(rng.integers(5, 9)))
    tokens: list[str | tuple[str, str, str]] = [*plain]
    if rng.random() < 0.25:
        tokens[0] = (f"{plain[0]}-", "number", "")
    kinds = [*_PARAMETERS, _NAME, _NAME]
    for _ in range(int(rng.integers(1, 5))):
        kind = str(rng.choice(kinds))
        before, after = (("", ""), (f"{_some(rng, words, 1)[0]}=", ""), ("(", ")"), ("", ","))[
            int(rng.integers(4))
        ]
        tokens.insert(int(rng.integers(2, len(tokens) + 1)), (before, kind, after))
    return tuple(tokens)


def _some(rng: np.random.Generator, words: Sequence[str], n: int) -> list[str]:
    return [str(word) for word in rng.choice(np.asarray(words), n, replace=False)]
