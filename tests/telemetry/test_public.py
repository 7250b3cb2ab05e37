"""Public data come whole and checked, or one line says how to get them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import requests

from course.telemetry import public

CONTENT = b"timestamp,value\n2014-01-01 00:00:00,1\n"
TOY = public.PublicSet(
    name="toy",
    title="a toy",
    repository="owner/toy",
    commit="0" * 40,
    licence="MIT",
    citation="nobody (2026)",
    notes="",
    files={"data/a.csv": hashlib.sha256(CONTENT).hexdigest()},
)


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(public, "catalogue", lambda: {"toy": TOY})
    monkeypatch.delenv(public.MIRROR, raising=False)
    monkeypatch.setenv(public.CACHE, str(tmp_path / "cache"))


def put(root: Path, content: bytes = CONTENT) -> Path:
    file = root / TOY.folder / "data/a.csv"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return file


def serve(monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> list[str]:
    """Stand in for the network: `content` for every address, or no connection."""
    asked = []

    class Downloader:
        def __init__(self, **_: Any) -> None: ...

        def __call__(self, url: str, output: Any, *_: Any, **__: Any) -> None:
            asked.append(url)
            if content is None:
                raise requests.exceptions.ConnectionError("no route\nto host")
            Path(output).write_bytes(content)

    monkeypatch.setattr("pooch.HTTPDownloader", Downloader)
    return asked


def test_a_mirror_is_read_in_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = put(tmp_path)
    monkeypatch.setenv(public.MIRROR, str(tmp_path))
    assert public.fetch("toy") / "data/a.csv" == file


def test_a_mirror_without_the_file_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(public.MIRROR, str(tmp_path))
    with pytest.raises(public.PublicDataMissing, match="a.csv is missing") as error:
        public.fetch("toy")
    assert "\n" not in str(error.value)
    assert public.MIRROR in str(error.value)


def test_without_mirror_and_network_one_line_says_how_to_get_the_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serve(monkeypatch, None)
    with pytest.raises(public.PublicDataMissing, match="course data fetch toy") as error:
        public.fetch("toy", progress=False)
    assert "\n" not in str(error.value)


def test_another_file_than_the_pinned_one_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = put(tmp_path, b"changed")
    monkeypatch.setenv(public.MIRROR, str(tmp_path))
    with pytest.raises(public.PublicDataCorrupt) as error:
        public.fetch("toy")
    message = str(error.value)
    assert str(file) in message
    assert TOY.files["data/a.csv"] in message
    assert hashlib.sha256(b"changed").hexdigest() in message
    assert "course data fetch toy" in message


def test_a_download_comes_from_the_pinned_commit_and_only_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = serve(monkeypatch, CONTENT)
    assert (public.fetch("toy", progress=False) / "data/a.csv").read_bytes() == CONTENT
    public.fetch("toy", progress=False)
    assert asked == [f"https://raw.githubusercontent.com/owner/toy/{'0' * 40}/data/a.csv"]


def test_a_wrong_download_is_refused_and_fetched_anew_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serve(monkeypatch, b"a login page")
    with pytest.raises(public.PublicDataCorrupt, match="not the pinned file"):
        public.fetch("toy", progress=False)
    serve(monkeypatch, CONTENT)
    assert public.fetch("toy", progress=False).is_dir()


def test_verify_tells_missing_from_corrupt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(public.MIRROR, str(tmp_path))
    assert public.verify("toy") == {"data/a.csv": "missing"}
    file = put(tmp_path, b"changed")
    assert public.verify("toy") == {"data/a.csv": "corrupt"}
    file.write_bytes(CONTENT)
    assert public.verify("toy") == {"data/a.csv": "ok"}


def test_an_unknown_name_or_path_is_an_error_that_says_what_exists() -> None:
    with pytest.raises(ValueError, match="there are: toy"):
        public.fetch("nabb")
    with pytest.raises(ValueError, match="no pinned file 'b.csv'"):
        public.fetch("toy", only=["b.csv"])


def test_every_registered_set_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for data in public.catalogue().values():
        assert len(data.commit) == 40
        assert data.licence and data.citation
        assert all(len(digest) == 64 for digest in data.files.values())
