"""Queries of the executed subsets, and queries with a fault in them, from a seed."""

from __future__ import annotations

import random

_NAMES = ("service_name", "level", "trace_id", "duration_ms")
_VALUES = ('"payment"', '"a b"', "`timed out`", '"say \\"x\\""', '""', '"5.."', '"a|b"')
_PIECES = ("{", "}", "(", ")", "[", "]", "|", "||", "&&", "=", "==", "=~", '"', ",", "5m", "5", "by",
           "sum", "rate", "and", "or", "status", "error", ">>", "x", ".", "!", "|=", "ms", "duration")  # fmt: skip


def queries(count: int = 400, seed: int = 2) -> list[tuple[str, str]]:
    """Return pairs of language and text; about half of them have a fault."""
    rng = random.Random(seed)
    found = []
    for number in range(count):
        language = ("logql", "traceql")[number % 2]
        text = _logql(rng) if language == "logql" else _traceql(rng)
        if rng.random() < 0.5:
            text = _spoilt(rng, text)
        found.append((language, text))
    return found


def _spoilt(rng: random.Random, text: str) -> str:
    """Leave out, repeat, replace or add a piece."""
    pieces = text.split(" ")
    place = rng.randrange(len(pieces))
    how = rng.randrange(4)
    if how == 0:
        del pieces[place]
    elif how == 1:
        pieces.insert(place, pieces[place])
    elif how == 2:
        pieces[place] = rng.choice(_PIECES)
    else:
        pieces.insert(place, rng.choice(_PIECES))
    return " ".join(pieces)


def _logql(rng: random.Random) -> str:
    logs = _logs(rng)
    if rng.random() < 0.3:
        return logs
    text = f"{rng.choice(['count_over_time', 'rate'])} ( {logs} [{rng.choice(['5m', '1h30m', '90s'])}] )"
    for _ in range(rng.randrange(3)):
        names = " , ".join(rng.sample(_NAMES, rng.randrange(1, 3)))
        group = f"{rng.choice(['by', 'without'])} ( {names} )"
        name = rng.choice(["sum", "min", "max", "avg", "count"])
        how = rng.randrange(3)
        text = (
            f"{name} ( {text} )",
            f"{name} {group} ( {text} )",
            f"{name} ( {text} ) {group}",
        )[how]
    return text


def _logs(rng: random.Random) -> str:
    matchers = [f'{rng.choice(_NAMES)} {rng.choice(["=", "=~"])} "payment"']
    for _ in range(rng.randrange(3)):
        sign = rng.choice(["=", "!=", "=~", "!~"])
        matchers.append(f"{rng.choice(_NAMES)} {sign} {rng.choice(_VALUES)}")
    text = "{ " + " , ".join(matchers) + " }"
    for _ in range(rng.randrange(4)):
        if rng.random() < 0.5:
            text += f" {rng.choice(['|=', '!=', '|~', '!~'])} {rng.choice(_VALUES)}"
        else:
            text += " | " + _labels(rng, 2)
    return text


def _labels(rng: random.Random, depth: int) -> str:
    if depth and rng.random() < 0.3:
        joined = rng.choice([" and ", " or ", " , "])
        text = joined.join(_labels(rng, depth - 1) for _ in range(2))
        return f"( {text} )" if rng.random() < 0.5 else text
    if rng.random() < 0.3:
        sign = rng.choice([">", ">=", "<", "<=", "==", "!="])
        return f"{rng.choice(_NAMES)} {sign} {rng.choice(['5', '0.5'])}"
    return f"{rng.choice(_NAMES)} {rng.choice(['=', '!=', '=~', '!~'])} {rng.choice(_VALUES)}"


def _traceql(rng: random.Random) -> str:
    sets = ["{ " + (_conditions(rng, 2) if rng.random() < 0.9 else "") + " }" for _ in range(3)]
    text = sets[0]
    for other in sets[1 : rng.randrange(1, 4)]:
        text += f" {rng.choice(['>', '>>', '<', '<<'])} {other}"
    return text


def _conditions(rng: random.Random, depth: int) -> str:
    if depth and rng.random() < 0.5:
        joined = rng.choice([" && ", " || "])
        text = joined.join(_conditions(rng, depth - 1) for _ in range(2))
        return rng.choice([text, f"( {text} )", f"!( {text} )"])
    field = rng.choice(["status", "kind", "duration", "name", "span.http.status_code",
                        "resource.service.name", ".retry"])  # fmt: skip
    equal = rng.choice(["=", "!="])
    order = rng.choice(["<", "<=", ">", ">=", "="])
    return {
        "status": f"status {equal} {rng.choice(['error', 'ok', 'unset'])}",
        "kind": f"kind {equal} {rng.choice(['server', 'client', 'internal'])}",
        "duration": f"duration {order} {rng.choice(['500ms', '1.5s', '20us', '2h'])}",
        "name": f"name {rng.choice(['=', '!=', '=~', '!~'])} {rng.choice(_VALUES)}",
        "span.http.status_code": f"span.http.status_code {order} {rng.choice(['500', '0.5', '-1'])}",
        "resource.service.name": f"resource.service.name {equal} {rng.choice(_VALUES)}",
        ".retry": f".retry {equal} {rng.choice(['true', 'false'])}",
    }[field]
