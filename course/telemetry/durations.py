"""Durations written as Prometheus writes them: ``30s``, ``5m``, ``1h30m``, ``0s``."""

import re

_PATTERN = re.compile(
    r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII
)
_UNITS_MS = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1_000, 1)
_LONGEST_MS = (2**63 - 1) // 1_000_000  # a Go time.Duration counts nanoseconds in 64 bits


def parse_duration(text: str) -> int:
    """Milliseconds of a Prometheus duration.

    Units are y (365 d), w, d, h, m, s and ms, each at most once and in this order; ``0`` needs
    no unit.

    Raises
    ------
    ValueError
        If the text is no such duration.

    Examples
    --------
    >>> parse_duration("1h30m")
    5400000
    """
    if text == "0":
        return 0
    match = _PATTERN.fullmatch(text)
    if not text or match is None or len(text) > 100:
        raise ValueError(
            f"{text[:40]!r} is not a duration; write digits and units in the order "
            "y, w, d, h, m, s, ms, such as 30s, 5m or 1h30m"
        )
    total = sum(int(n) * unit for n, unit in zip(match.groups(), _UNITS_MS, strict=True) if n)
    if total > _LONGEST_MS:
        raise ValueError(f"the duration {text[:40]!r} is too long; the longest is about 292y")
    return total


def format_duration(milliseconds: int) -> str:
    """The shortest spelling in h, m, s and ms.

    Examples
    --------
    >>> format_duration(5400000)
    '1h30m'
    """
    parts = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
