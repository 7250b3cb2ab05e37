"""Embedded data: there, complete, unchanged."""

import shutil

import pytest

from course import telemetry


def test_every_set_has_a_card_and_the_recorded_checksum():
    for name in telemetry.names():
        assert (telemetry.folder() / f"{name}.md").is_file(), name
        assert telemetry.verify()[f"{name}.parquet"] == "ok"


def test_the_quiet_month_is_four_complete_weeks():
    quiet = telemetry.load("shop-quiet-28d")
    assert len(quiet) == 28 * 1440 and quiet.notna().all().all()
    assert str(quiet.index.tz) == "UTC" and quiet.index.is_monotonic_increasing


def test_an_unknown_set_names_those_that_exist():
    with pytest.raises(telemetry.DataSetMissing, match="shop-quiet-28d"):
        telemetry.load("nothing")


def test_a_changed_file_is_found(tmp_path, monkeypatch):
    shutil.copytree(telemetry.folder(), tmp_path / "data")
    (tmp_path / "data" / "shop-quiet-28d.parquet").write_bytes(b"broken")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    assert telemetry.verify()["shop-quiet-28d.parquet"] == "changed"


def test_parts_belong_together():
    truth, metrics = (telemetry.load("shop-incidents", part) for part in ("truth", "metrics"))
    assert list(truth["incident"]) == list(range(12))
    for row in truth.itertuples():
        assert row.start in metrics.loc[row.incident].index
    assert telemetry.parts("shop-quiet-28d") == ["metrics", "events"]
    with pytest.raises(telemetry.DataSetMissing, match="it has metrics, events"):
        telemetry.load("shop-quiet-28d", "logs")


def test_a_changed_file_is_not_loaded(tmp_path, monkeypatch):
    shutil.copytree(telemetry.folder(), tmp_path / "data")
    (tmp_path / "data" / "shop-checkout-week.parquet").write_bytes(b"broken")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    with pytest.raises(telemetry.DataSetMissing, match="SHA-256"):
        telemetry.load("shop-checkout-week")


def test_the_embedded_data_is_small():
    sizes = [path.stat().st_size for path in telemetry.folder().iterdir()]
    assert sum(sizes) < 20e6
    assert max(sizes) < 10e6


def test_the_recorded_sets_are_current():
    from course.shop import record

    assert record.main(["--check"]) == 0
