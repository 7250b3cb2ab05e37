"""The trivial detectors: each remembers something of the training sessions and flags what is new.

A detector is fitted on normal sessions and gives a function that says of a session whether it is
abnormal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from course.field.hdfs.data import Session

Flags = Callable[[Session], bool]
Fit = Callable[[Sequence[Session]], Flags]


def length(train: Sequence[Session]) -> Flags:
    """Shorter or longer than any session of the training set."""
    shortest, longest = min(map(len, train)), max(map(len, train))
    return lambda session: not shortest <= len(session) <= longest


def unseen_statement(train: Sequence[Session]) -> Flags:
    """Holds a statement that the training set does not."""
    known = {statement for session in train for statement in session}
    return lambda session: not known.issuperset(session)


def unseen_pair(train: Sequence[Session]) -> Flags:
    """Holds two statements one after the other that the training set does not."""
    known = {pair for session in train for pair in pairwise(session)}
    return lambda session: not known.issuperset(pairwise(session))


def unseen_multiset(train: Sequence[Session]) -> Flags:
    """Its statements, counted and without their order, are those of no training session."""
    known = {tuple(sorted(session)) for session in train}
    return lambda session: tuple(sorted(session)) not in known


def unseen_sequence(train: Sequence[Session]) -> Flags:
    """Its statements, in order, are those of no training session."""
    known = set(train)
    return lambda session: session not in known


#: The trivial detectors by name.
TRIVIAL: dict[str, Fit] = {
    "length outside the range": length,
    "unseen statement": unseen_statement,
    "unseen pair of statements": unseen_pair,
    "unseen multiset of statements": unseen_multiset,
    "unseen sequence": unseen_sequence,
}
