"""The field study on PetShop: reading, the simple rankings, and the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

from course.field import petshop
from course.field.petshop.__main__ import main
from course.field.petshop.data import read_graph, read_issue, read_metrics

matplotlib.use("agg")


@pytest.fixture(scope="session")
def shops(public_data: Callable[[str], None]) -> list[petshop.PetShop]:
    public_data("petshop")
    return [petshop.load(traffic) for traffic in petshop.TRAFFIC]


def _metrics(values: dict[tuple[str, str], list[float]], start: str = "2026-03-02") -> pd.DataFrame:
    columns = pd.MultiIndex.from_tuples([(*key, "Average") for key in values])
    columns.names = ["node", "metric", "statistic"]
    length = len(next(iter(values.values())))
    index = pd.date_range(start, periods=length, freq="5min", tz="UTC", name="time")
    return pd.DataFrame(np.column_stack(list(values.values())), index=index, columns=columns)


@pytest.fixture
def toy() -> petshop.PetShop:
    """A page that calls a cart, which calls a store; the store is slow, and so are its callers."""
    rng = np.random.default_rng(1)
    quiet = _metrics(
        {(n, "latency"): list(rng.normal(10, 1, 200)) for n in ("page", "cart", "store", "mail")}
    )
    slow = _metrics(
        {("page", "latency"): [10, 40], ("cart", "latency"): [10, 60], ("store", "latency"): [10, 50],
         ("mail", "latency"): [10, 10]}, "2026-03-05",
    )  # fmt: skip
    issue = petshop.Issue("toy", "page", "latency", "store", slow)
    calls = {"page": ("cart", "mail"), "cart": ("store",), "store": ("cart",)}
    return petshop.PetShop("low", quiet, calls, [issue, issue])


def test_the_set_is_as_its_card_says(shops: list[petshop.PetShop]) -> None:
    for shop in shops:
        assert len(shop.issues) == 26
        assert len({issue.cause for issue in shop.issues}) == 5
        assert shop.quiet.index[0].year == 2023
        for issue in shop.issues:
            assert issue.symptom == "PetSite"
            assert issue.cause in petshop.candidates(shop, issue)
            assert 5 <= len(issue.metrics) <= 6
            assert issue.metrics.index[-1] < shop.quiet.index[0]
    names = [issue.name for issue in shops[0].issues]
    assert names[:2] == ["low/test/issue_0", "low/test/issue_1"]


def test_downstream_is_nearest_first_and_ends_in_a_circle(toy: petshop.PetShop) -> None:
    assert toy.downstream("page") == ["page", "cart", "mail", "store"]
    assert toy.downstream("nobody") == ["nobody"]


def test_the_shift_looks_in_the_direction_of_trouble(toy: petshop.PetShop) -> None:
    moved = petshop.shift(toy.issues[0], toy.quiet)
    assert moved.index[0] == "cart"
    assert moved["mail"] < 1
    better = petshop.Issue("b", "page", "availability", "store", toy.issues[0].metrics)
    assert petshop.shift(better, toy.quiet).empty


def test_the_last_of_a_chain_is_the_suspect(toy: petshop.PetShop) -> None:
    issue = toy.issues[0]
    assert petshop.SIMPLE["robust shift"](toy, issue).idxmax() == "cart"
    open_chain = petshop.PetShop("low", toy.quiet, toy.calls | {"store": ()}, toy.issues)
    assert petshop.SIMPLE["deepest shift"](open_chain, issue).idxmax() == "store"


def test_the_table_holds_yours_chance_and_the_published(shops: list[petshop.PetShop]) -> None:
    def knows_nothing(shop: petshop.PetShop, issue: petshop.Issue) -> list[str]:
        assert issue.cause == ""
        return []

    table = petshop.study(knows_nothing, shops=shops)
    whole = table.loc[("all", "all")]
    assert whole.loc["yours", ["AC@1", "AC@3"]].tolist() == pytest.approx(
        whole.loc["chance", ["AC@1", "AC@3"]].tolist()
    )
    assert whole.loc["commonest cause", "AC@1"] == pytest.approx(16 / 52)
    assert whole.loc["robust shift", "AC@3"] == pytest.approx(0.776, abs=0.01)
    assert whole.loc["deepest shift", "AC@1"] == pytest.approx(0.308, abs=0.01)
    assert table.loc[("high", "latency", "traversal, published"), "AC@3"] == 0.786
    petshop.plot_study(table)


@pytest.mark.parametrize("text", ["", "a\n1\n", "n,x\nm,latency\ns,Average\nt,\nnoon,1\n"])
def test_a_file_that_is_no_table_of_metrics_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(petshop.PetShopFormatError, match=r"metrics\.csv"):
        read_metrics(file)


def test_a_matrix_of_different_names_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "graph.csv"
    file.write_text(",a,b\na,0,1\nc,0,0\n", encoding="utf-8")
    with pytest.raises(petshop.PetShopFormatError, match="different nodes"):
        read_graph(file)


@pytest.mark.parametrize("text", ["", "{}", '{"target": {"node": "a"}, "root_cause": null}'])
def test_an_issue_without_a_cause_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "target.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(petshop.PetShopFormatError, match="root cause"):
        read_issue("x", file, file)


def test_the_command_prints_the_study(
    shops: list[petshop.PetShop], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 0
    assert "commonest cause" in capsys.readouterr().out
    assert main(["x"]) == 2
