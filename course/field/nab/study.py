"""Run detectors over NAB and put them side by side.

Two questions, two tables:

- `study`: how does *my* detector do beside the textbook baselines, the course's reference and
  chance?
- `full_table`: the same for every baseline, with textbook thresholds, with the same tuning as
  the reference, and at the same number of alerts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from course.field.nab.data import NabSeries, load
from course.field.nab.detectors import TEXTBOOK, Detector
from course.field.nab.events import CUTS, SHIFTS, chance_series, looks_ahead, pooled, score_series
from course.field.nab.published import RECORDED
from course.field.nab.tuning import FAMILIES, REFERENCE, chosen

JUDGED = ("aws", "known_cause")
BLOCKS = {
    "equal alerts": "alerts",
    "tuned, group left out": "group",
    "tuned, series left out": "series",
}
_DRAWS = 4000
#: Rotations for the table in a notebook; a dozen series make up for fewer of them.
_FEW = 50
_SEED = 20260301

DetectorOf = Callable[[NabSeries], Detector]


def study(
    detector: Detector, *, name: str = "yours", groups: Sequence[str] = JUDGED
) -> pd.DataFrame:
    """Put a detector beside the textbook baselines, the reference and chance.

    Parameters
    ----------
    detector : callable
        values -> flags: a Series of float with UTC index in, a Series of bool on the same index
        out. It must be causal; ``values.attrs["probation_end"]`` says where scoring starts.
    name : str
        What to call it in the table.
    groups : sequence of str
        Groups to run on.

    Returns
    -------
    pd.DataFrame
        Indexed by (group, detector); columns `series`, `events`, `recall`, `precision`,
        `alerts_per_series_day`, `chance_recall`, `chance_precision` (the same alerts at random
        times), `onset_recall`, `onset_precision` (an alert must start in the window, repeats not
        counted), `in_alert` (share of time) and `looks_ahead` (True: the detector used the
        future, its figures mean nothing).

    Raises
    ------
    PublicDataMissing
        Without the data; the message says how to get it.
    ValueError
        If the detector returns something else than flags.

    Examples
    --------
    >>> table = study(lambda values: values > values.expanding().max().shift())  # doctest: +SKIP
    """
    rows = {}
    for group in groups:
        every = load(group)
        rows[group, name] = summary(by_series(_always(detector), every, shifts=_FEW))
        for baseline, textbook in TEXTBOOK.items():
            rows[group, baseline] = summary(
                by_series(_always(textbook), every, causal=True, shifts=_FEW)
            )
        reference = by_series(_tuned(REFERENCE, "alerts"), every, causal=True, shifts=_FEW)
        rows[group, "reference"] = summary(reference)
    return _table(rows)


def by_series(
    detector_of: DetectorOf,
    every: Sequence[NabSeries],
    *,
    causal: bool = False,
    shifts: int = SHIFTS,
) -> pd.DataFrame:
    """Counts by series for a detector (which may differ from series to series).

    With ``causal`` the detector is known not to look ahead (as the tests prove for those of
    this package) and is not examined again. Chance is the mean over `shifts` rotations.

    Returns
    -------
    pd.DataFrame
        Indexed by the series' short name: the counts of `events.score_series`, those of
        `events.chance_series` with the prefix ``chance_``, and `looks_ahead`.
    """
    rows = {}
    for number, series in enumerate(every):
        detector = detector_of(series)
        flags = detector(series.values)
        # One cut a series, each time another: what looks ahead does so on many series.
        cut = CUTS[number % len(CUTS)]
        rows[series.short] = {
            **score_series(series, flags),
            **{f"chance_{k}": v for k, v in chance_series(series, flags, shifts=shifts).items()},
            "looks_ahead": not causal and looks_ahead(detector, series, whole=flags, cuts=(cut,)),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def summary(counts: pd.DataFrame) -> dict[str, float | int | bool]:
    """One row of the table from the counts by series."""
    chance = counts.filter(like="chance_").rename(columns=lambda c: c.removeprefix("chance_"))
    by_chance = pooled(chance)
    onsets = counts["found_at_onset"].sum()
    fired = onsets + counts["false_at_onset"].sum()
    return {
        "series": len(counts),
        "events": int(counts["events"].sum()),
        "found": int(counts["found"].sum()),
        "alerts": int(counts["alerts"].sum()),
        **pooled(counts),
        "chance_recall": by_chance["recall"],
        "chance_precision": by_chance["precision"],
        "onset_recall": onsets / max(counts["events"].sum(), 1),
        "onset_precision": onsets / fired if fired else float("nan"),
        "in_alert": counts["in_alert"].sum() / counts["days"].sum(),
        "looks_ahead": bool(counts["looks_ahead"].any()),
    }


def full_table(group: str) -> tuple[pd.DataFrame, dict[tuple[str, str], pd.DataFrame]]:
    """Every detector of the study on one group, in four blocks.

    Returns
    -------
    table : pd.DataFrame
        Indexed by (block, detector), columns as in `study`. Blocks: ``textbook thresholds`` and
        those of `BLOCKS`, whose meaning stands in `course.field.nab.tuning`.
    counts : dict
        (block, detector) to the counts by series, for `bootstrap`.
    """
    every = load(group)
    counts: dict[tuple[str, str], pd.DataFrame] = {}
    for name, textbook in TEXTBOOK.items():
        counts["textbook thresholds", name] = by_series(_always(textbook), every)
    for block, way in BLOCKS.items():
        for family in FAMILIES:
            counts[block, family] = by_series(_tuned(family, way), every)
    return _table({key: summary(value) for key, value in counts.items()}), counts


def bootstrap(
    ours: pd.DataFrame, theirs: pd.DataFrame, *, draws: int = _DRAWS, seed: int = _SEED
) -> pd.DataFrame:
    """95 % intervals by resampling whole series, paired: the same series for both detectors.

    Parameters
    ----------
    ours, theirs : pd.DataFrame
        Counts by series on the same series.

    Returns
    -------
    pd.DataFrame
        Rows `recall`, `precision`; columns `ours_low`, `ours_high`, `theirs_low`, `theirs_high`,
        `difference`, `difference_low`, `difference_high`, `share_better` (share of draws in which
        ours is greater).
    """
    rng = np.random.default_rng(seed)
    draw = rng.integers(0, len(ours), size=(draws, len(ours)))
    rows = {}
    for measure, part, whole in (("recall", "found", "events"), ("precision", "hits", "alerts")):
        a, b = (
            counts[part].to_numpy(float)[draw].sum(axis=1)
            / np.maximum(counts[whole].to_numpy(float)[draw].sum(axis=1), 1)
            for counts in (ours, theirs)
        )
        low_high = [np.quantile(x, (0.025, 0.975)) for x in (a, b, a - b)]
        rows[measure] = {
            **dict(zip(("ours_low", "ours_high"), low_high[0], strict=True)),
            **dict(zip(("theirs_low", "theirs_high"), low_high[1], strict=True)),
            "difference": pooled(ours)[measure] - pooled(theirs)[measure],
            **dict(zip(("difference_low", "difference_high"), low_high[2], strict=True)),
            "share_better": float((a > b).mean()),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def compare_recorded(group: str, table: pd.DataFrame) -> pd.DataFrame:
    """The textbook rows beside the figures recorded earlier on *all* series of the group."""
    here = table.loc["textbook thresholds"]
    measures = ["recall", "precision", "alerts_per_series_day"]
    rows = {
        name: {
            f"{measure} {where}": source.get(measure, np.nan)
            for measure in measures
            for where, source in (("here", here.loc[name]), ("recorded", RECORDED[group, name]))
        }
        for name in TEXTBOOK
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _always(detector: Detector) -> DetectorOf:
    return lambda _: detector


def _tuned(family: str, way: str) -> DetectorOf:
    return lambda series: chosen(family, series, way)


def _table(rows: dict[tuple[str, str], dict[str, float | int | bool]]) -> pd.DataFrame:
    table = pd.DataFrame(list(rows.values()), index=pd.MultiIndex.from_tuples(list(rows)))
    return table.rename_axis(["group", "detector"])
