"""The printed study."""

from __future__ import annotations

from collections.abc import Iterator

from course.field.petshop.data import TRAFFIC, load
from course.field.petshop.published import CITATION, SOURCE
from course.field.petshop.study import study


def report() -> Iterator[str]:
    """The study, piece by piece.

    Raises
    ------
    PublicDataMissing
        Without the data; the message is the one line to print.
    """
    shops = [load(traffic) for traffic in TRAFFIC]
    for shop in shops:
        causes = sorted({issue.cause for issue in shop.issues})
        yield (
            f"PetShop, {shop.traffic} traffic: {len(shop.issues)} issues, {len(causes)} causes, "
            f"{len(shop.calls)} nodes, {len(shop.quiet)} quiet rows from {shop.quiet.index[0]:%Y-%m-%d}, "
            f"issues from {shop.issues[0].metrics.index[0]:%Y-%m-%d}"
        )
    table = study(shops=shops)
    for column in ("AC@1", "AC@3"):
        yield f"{column}\n" + table[column].unstack("ranking").round(3).to_string()
    yield f"Published: {SOURCE}.\n{CITATION}"
