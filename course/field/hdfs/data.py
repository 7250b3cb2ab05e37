"""Load HDFS sessions: what was logged about one block, as numbers of statements in order.

What to know before trusting a number on this set:

- The 4,855 normal sessions hold 62 different bags of statements, and the commonest is more than
  half of all. Whoever splits them at random has nearly every test session in the training set.
- The natural share of abnormal sessions is 2.9 % (16,838 of 575,061 as published). Most of the normal
  ones are not pinned here, so precision is computed for that share from recall and false-positive rate.
- An abnormal session is one whose block failed, found by experts from its events (Xu et al., SOSP
  2009). No session with such a label has a bag of statements that a normal session has.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from course.telemetry import public

#: Share of abnormal sessions among all 575,061.
BASE_RATE = 16_838 / 575_061
_NORMAL, _ABNORMAL = "data/hdfs_train", "data/hdfs_test_abnormal"
_TRAINING = 3_400

Session = tuple[int, ...]


class HdfsFormatError(ValueError):
    """A file of the set is not what it should be; the message says which and how."""


@dataclass(frozen=True)
class HdfsSessions:
    """Sessions to train on and to be judged on, in the order of the files.

    Attributes
    ----------
    train : list of tuple of int
        Normal sessions, the first 3,400.
    normal, abnormal : list of tuple of int
        The other 1,455 normal sessions, and all abnormal ones.
    """

    train: list[Session]
    normal: list[Session]
    abnormal: list[Session]


def load(*, progress: bool = True) -> HdfsSessions:
    """Load all sessions.

    Raises
    ------
    course.telemetry.public.PublicDataMissing
        Without mirror and network.
    HdfsFormatError
        If a file can't be read.

    Examples
    --------
    >>> sessions = load()                                                # doctest: +SKIP
    >>> len(sessions.train), len(sessions.normal), len(sessions.abnormal)  # doctest: +SKIP
    (3400, 1455, 16838)
    """
    root = public.fetch("hdfs", only=[_NORMAL, _ABNORMAL], progress=progress)
    normal = read_sessions(root / _NORMAL)
    return HdfsSessions(normal[:_TRAINING], normal[_TRAINING:], read_sessions(root / _ABNORMAL))


def read_sessions(file: Path) -> list[Session]:
    """Read one file: a session a line, numbers of statements with blanks between.

    Raises
    ------
    HdfsFormatError
        Naming the file and the line that is wrong.
    """
    sessions = []
    for number, line in enumerate(file.read_text("utf-8", errors="replace").splitlines(), 1):
        try:
            session = tuple(int(word) for word in line.split())
        except ValueError:
            raise HdfsFormatError(
                f"{file}, line {number}: {line[:60]!r} is no list of numbers"
            ) from None
        if not session:
            raise HdfsFormatError(f"{file}, line {number} is empty")
        sessions.append(session)
    if not sessions:
        raise HdfsFormatError(f"{file} has no sessions")
    return sessions
