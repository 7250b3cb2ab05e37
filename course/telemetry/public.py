"""Public data sets: fetched from a pinned commit, checked by SHA-256, never committed here.

A set is a list of files of one public repository at one commit, with the SHA-256 of each
(``public.toml``, beside this module). They come either from

- a local mirror, if the environment variable ``COURSE_DATA_MIRROR`` names one, laid out as
  ``github/<owner>/<repository>/<commit>/<path>``; or
- ``raw.githubusercontent.com``, through pooch, into the user's cache (``COURSE_DATA_CACHE``
  overrides where), in the same layout.

Hashes are checked on every fetch, whichever way the files came.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from tqdm.auto import tqdm

MIRROR = "COURSE_DATA_MIRROR"
CACHE = "COURSE_DATA_CACHE"
_RAW = "https://raw.githubusercontent.com"
_TIMEOUT_S = 15


class PublicDataMissing(RuntimeError):
    """A public data set is not here; the message is one line that says how to get it."""


class PublicDataCorrupt(RuntimeError):
    """A file of a public data set is not the file that was pinned."""


@dataclass(frozen=True)
class PublicSet:
    """A public data set as pinned in ``public.toml``.

    Attributes
    ----------
    name, title : str
        The name used in commands, and what the set is.
    repository, commit : str
        ``owner/name`` on GitHub and the full commit.
    licence, citation, notes : str
        Terms, whom to cite, and what to know before use.
    files : dict of str to str
        Path in the repository to the file's SHA-256 (64 hexadecimal digits).
    """

    name: str
    title: str
    repository: str
    commit: str
    licence: str
    citation: str
    notes: str
    files: dict[str, str]

    @property
    def folder(self) -> Path:
        """Where the set lies below a mirror or cache."""
        return Path("github") / self.repository / self.commit

    @property
    def base_url(self) -> str:
        """The pinned address that the paths are appended to."""
        return f"{_RAW}/{self.repository}/{self.commit}/"


@cache
def catalogue() -> dict[str, PublicSet]:
    """All registered public data sets by name.

    Returns
    -------
    dict of str to PublicSet

    Examples
    --------
    >>> catalogue()["nab"].repository
    'numenta/NAB'
    """
    text = resources.files("course.telemetry").joinpath("public.toml").read_text("utf-8")
    return {name: PublicSet(name=name, **entry) for name, entry in tomllib.loads(text).items()}


def public_set(name: str) -> PublicSet:
    """One registered set.

    Raises
    ------
    ValueError
        If no set has that name; the message lists those that exist.
    """
    try:
        return catalogue()[name]
    except KeyError:
        known = ", ".join(sorted(catalogue()))
        raise ValueError(f"no public data set is called {name!r}; there are: {known}") from None


def fetch(name: str, *, only: Iterable[str] | None = None, progress: bool = True) -> Path:
    """Make a public data set available and return the folder that holds it.

    Parameters
    ----------
    name : str
        A name from `catalogue`, such as ``"nab"``.
    only : iterable of str, optional
        Paths to fetch; all registered files if left out.
    progress : bool
        Show a progress bar while files are downloaded.

    Returns
    -------
    Path
        The root of the repository's files; ``root / path`` is a file whose hash was checked.

    Raises
    ------
    PublicDataMissing
        If there is neither mirror nor network; one line saying how to get the data.
    PublicDataCorrupt
        If a file's SHA-256 is not the pinned one.

    Examples
    --------
    >>> root = fetch("nab")                                              # doctest: +SKIP
    >>> (root / "labels/combined_windows.json").exists()                 # doctest: +SKIP
    True
    """
    data = public_set(name)
    paths = list(data.files) if only is None else list(only)
    if unknown := [path for path in paths if path not in data.files]:
        raise ValueError(f"{name} has no pinned file {unknown[0]!r}; see catalogue()[{name!r}]")
    mirror = os.environ.get(MIRROR)
    if mirror:
        return _from_mirror(data, Path(mirror), paths)
    return _from_network(data, paths, progress)


def verify(name: str) -> dict[str, str]:
    """Check what is here of a set, without fetching anything.

    Returns
    -------
    dict of str to str
        Path to ``"ok"``, ``"missing"`` or ``"corrupt"``.
    """
    data = public_set(name)
    mirror = os.environ.get(MIRROR)
    root = (Path(mirror) if mirror else _cache_folder()) / data.folder
    return {path: _state(root / path, expected) for path, expected in data.files.items()}


def _state(file: Path, expected: str) -> str:
    if not file.is_file():
        return "missing"
    return "ok" if _sha256(file) == expected else "corrupt"


def _from_mirror(data: PublicSet, mirror: Path, paths: list[str]) -> Path:
    root = mirror / data.folder
    for path in paths:
        file = root / path
        if not file.is_file():
            raise PublicDataMissing(
                f"public data {data.name!r}: {file} is missing; point {MIRROR} at a mirror laid "
                "out as github/<owner>/<repository>/<commit>/<path>, or unset it to download"
            )
        _check(data, file, path)
    return root


def _from_network(data: PublicSet, paths: list[str], progress: bool) -> Path:
    root = _cache_folder() / data.folder
    wanted = [path for path in paths if _state(root / path, data.files[path]) != "ok"]
    if wanted:
        _download(data, root, wanted, progress)
    return root


def _download(data: PublicSet, root: Path, paths: list[str], progress: bool) -> None:
    import pooch
    from requests.exceptions import RequestException

    # pooch logs each file; the bar below says the same in one line.
    pooch.get_logger().setLevel("WARNING")
    downloader = pooch.HTTPDownloader(timeout=_TIMEOUT_S)
    try:
        for path in tqdm(paths, desc=f"fetch {data.name}", unit="file", disable=not progress):
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            # The hash is checked here, not by pooch, so that both ways give one message.
            pooch.retrieve(
                data.base_url + path,
                known_hash=None,
                fname=target.name,
                path=target.parent,
                downloader=downloader,
            )
            _check(data, target, path)
    except (RequestException, OSError) as error:
        raise PublicDataMissing(
            f"public data {data.name!r} is not here and could not be downloaded "
            f"({type(error).__name__}); run `course data fetch {data.name}` with a network, "
            f"or set {MIRROR} to a local mirror"
        ) from None


def _check(data: PublicSet, file: Path, path: str) -> None:
    expected, found = data.files[path], _sha256(file)
    if found != expected:
        raise PublicDataCorrupt(
            f"public data {data.name!r}: {file} is not the pinned file\n"
            f"  expected SHA-256 {expected}\n"
            f"  found    SHA-256 {found}\n"
            f"Delete the file and run `course data fetch {data.name}` again; in a mirror, copy "
            f"it anew from {data.base_url}{path}"
        )


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _cache_folder() -> Path:
    if folder := os.environ.get(CACHE):
        return Path(folder)
    import pooch

    return Path(pooch.os_cache("aiops-course"))
