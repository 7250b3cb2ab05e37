"""The simple parsers of the field study, and Drain as it is used at work.

A parser takes the lines of a log, in order, and gives each the name of its group.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

Parser = Callable[[Sequence[str]], Sequence[str]]

_NUMBER = re.compile(r"\d+")
_HAS_DIGIT = re.compile(r"\S*\d\S*")


def every_text(lines: Sequence[str]) -> list[str]:
    """Lines of equal text are one group: what a database's GROUP BY would do."""
    return list(lines)


def without_numbers(lines: Sequence[str]) -> list[str]:
    """Lines that are equal but for their digits are one group."""
    return [_NUMBER.sub("<*>", line) for line in lines]


def without_words_that_hold_digits(lines: Sequence[str]) -> list[str]:
    """Lines that are equal but for words with a digit in them are one group."""
    return [_HAS_DIGIT.sub("<*>", line) for line in lines]


def first_word_and_length(lines: Sequence[str]) -> list[str]:
    """Lines with as many words and the same first word are one group."""
    return [f"{line.split()[0] if line.split() else ''} {len(line.split())}" for line in lines]


#: The simple parsers by name.
SIMPLE: dict[str, Parser] = {
    "every text": every_text,
    "without numbers": without_numbers,
    "without words that hold digits": without_words_that_hold_digits,
    "first word and length": first_word_and_length,
}


#: Four common parameters to mask, for `drain3`: expression, and what stands for it.
MASKS = (
    (r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b", "IP"),
    (r"\bblk_-?\d+\b", "BLOCK"),
    (r"\b0x[0-9a-fA-F]+\b", "HEX"),
    (r"\b\d+\b", "NUM"),
)


def drain3(lines: Sequence[str], *, masks: Sequence[tuple[str, str]] = ()) -> list[str]:
    """Parse with drain3 at its own settings (similarity 0.4, depth 4).

    Parameters
    ----------
    lines : sequence of str
    masks : sequence of (str, str)
        Regular expressions and the words that stand for what they match, as ``<IP>`` without the
        brackets.

    Returns
    -------
    list of str
        Drain decides line by line; the group of a line is that of the cluster it ended in.

    Raises
    ------
    ImportError
        drain3 is not installed.
    """
    from drain3 import TemplateMiner
    from drain3.masking import MaskingInstruction
    from drain3.template_miner_config import TemplateMinerConfig

    settings = TemplateMinerConfig()
    settings.masking_instructions = [MaskingInstruction(*mask) for mask in masks]
    miner = TemplateMiner(config=settings)
    return [str(miner.add_log_message(line)["cluster_id"]) for line in lines]
