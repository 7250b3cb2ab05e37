"""Values survive the trip with exact plain types; what is no packet is refused."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from course.grading.codec import MAGIC, CodecError, decode, encode

scalars = (
    st.none() | st.booleans() | st.integers() .filter(lambda n: abs(n) < 10**300)
    | st.floats(allow_nan=False) | st.text() | st.binary()
)  # fmt: skip
nested = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(nested)
def test_plain_values_come_back_equal_and_of_the_same_type(value: Any) -> None:
    back = decode(encode(value))
    assert back == value
    assert type(back) is type(value)


@given(hnp.arrays(st.sampled_from(["f8", "f4", "i8", "u1", "bool"]), hnp.array_shapes(min_side=0)))
def test_arrays_come_back_bit_for_bit(array: np.ndarray) -> None:
    back = decode(encode(array))
    assert type(back) is np.ndarray
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    np.testing.assert_array_equal(back, array)


INDEX = pd.date_range("2026-01-01", periods=4, freq="1min", tz="UTC", name="time")
WIDE = pd.MultiIndex.from_product([["cart", "search"], ["rps", "p99"]], names=["service", "metric"])


@pytest.mark.parametrize(
    "value",
    [
        pd.Series([1.0, np.nan, np.inf, -0.0], index=INDEX, name="rps"),
        pd.Series([True, False]),
        pd.Series(["a", None, "c"]),
        pd.Series(pd.to_timedelta([1, 2], unit="min")),
        pd.Series(dtype=float),
        pd.DataFrame(np.arange(16.0).reshape(4, 4), index=INDEX, columns=WIDE),
        pd.DataFrame({"n": [1, 2], "at": INDEX[:2], "text": ["x", "y"]}),
        pd.DataFrame({"up": [True, False], "down": [False, True]}, index=INDEX[:2]),
        pd.DataFrame({"a": INDEX[:2].tz_localize(None), "b": INDEX[2:].tz_localize(None)}),
        pd.DataFrame({"a": INDEX[:2], "b": INDEX[2:]}, index=INDEX[:2].tz_convert("Europe/Rome")),
        pd.DataFrame(np.arange(6, dtype="int16").reshape(3, 2)[::-1]),
        pd.DataFrame(columns=["a", "b"], dtype=float),
        pd.DataFrame(),
    ],
    ids=str,
)
def test_tables_come_back_equal_with_index_names_and_frequency(value: Any) -> None:
    back = decode(encode(value))
    if isinstance(value, pd.DataFrame):
        pd.testing.assert_frame_equal(back, value, check_freq=True)
    else:
        pd.testing.assert_series_equal(back, value, check_freq=True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(1.5), 1.5),
        (np.int32(3), 3),
        (np.bool_(True), True),
        ((1, 2), [1, 2]),
        (pd.Timestamp("2026-01-01", tz="UTC"), pd.Timestamp("2026-01-01", tz="UTC")),
        (pd.Timedelta("5min"), pd.Timedelta("5min")),
    ],
)
def test_scalars_become_python_scalars(value: Any, expected: Any) -> None:
    back = decode(encode(value))
    assert back == expected
    assert type(back) is type(expected)


def test_subclasses_lose_what_they_pretend() -> None:
    class Anything(float):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = float.__hash__

    back = decode(encode([Anything(1.0)]))[0]
    assert type(back) is float
    assert back != 2.0


@pytest.mark.parametrize(
    "levels",
    [
        [["a", "b", "a"], [2.5, np.nan, 2.5]],
        [pd.to_datetime(["2024-01-01", None, "2023-01-01"]), pd.to_timedelta(["2s", "1s", None])],
        [pd.date_range("2024-01-01", periods=3, tz="Europe/Berlin"), [True, False, True]],
        [pd.Index(["x", None, 3], dtype=object), [3, 1, 3]],
        [[], []],
    ],
    ids=["text and floats", "times", "zones", "objects", "empty"],
)
def test_rows_of_several_labels_come_back_equal(levels: list) -> None:
    index = pd.MultiIndex.from_arrays(levels, names=["first", None])
    back = decode(encode(pd.Series(range(len(index)), index=index))).index
    pd.testing.assert_index_equal(back, index, check_freq=False)


@pytest.mark.parametrize("value", [object(), lambda: 0, (n for n in ()), {1: object()}])
def test_other_types_do_not_travel(value: Any) -> None:
    with pytest.raises(CodecError, match="cannot travel"):
        encode(value)


def test_a_value_that_holds_itself_does_not_travel() -> None:
    loop: list = []
    loop.append(loop)
    with pytest.raises(CodecError, match="nested deeper"):
        encode(loop)


def _packet(header: str, blob: bytes = b"", length: int | None = None) -> bytes:
    raw = header.encode()
    return MAGIC + struct.pack("<Q", len(raw) if length is None else length) + raw + blob


def _array(**changes: Any) -> str:
    return json.dumps({"t": "array", "dtype": "<f8", "shape": [1], "b": [0, 8], **changes})


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"pickle",
        _packet("1", length=2**60),
        _packet("[" * 100_000 + "]" * 100_000),
        _packet("[" * 40 + "]" * 40),
        _packet("NaN"),
        _packet("{"),
        _packet('{"t": "pickle", "v": "x"}'),
        _packet('{"t": []}'),
        _packet('{"t": "int", "v": "' + "9" * 5000 + '"}'),
        _packet('{"t": "float", "v": "1e5"}'),
        _packet(_array(), b"\0" * 7),
        _packet(_array(shape=[2**62]), b"\0" * 8),
        _packet(_array(shape=[-1]), b"\0" * 8),
        _packet(_array(shape=[1] * 50), b"\0" * 8),
        _packet(_array(dtype="|O8"), b"\0" * 8),
        _packet(_array(dtype="|V8"), b"\0" * 8),
        _packet(_array(b=[-8, 8]), b"\0" * 8),
        _packet('{"t":"index","v":{"kind":"range","v":[0,9000000000000,1],"names":[null]}}'),
        _packet('{"t":"time","v":1,"unit":"ns","tz":"dateutil//etc/localtime"}'),
        _packet('{"t":"dict","v":' + json.dumps([[k * (2**61 - 1), 0] for k in range(1, 100)]) + "}"),
        _packet("[" + "[]," * 5_000_000 + "1]"),
        _packet('{"t":"time","v":1,"unit":"ns","tz":"../../etc/passwd\\u0000"}'),
        _packet('{"t":"frame","index":{"kind":"range","v":[0,2,1],"names":[null]},'
                '"columns":{"kind":"range","v":[0,1,1],"names":[null]},"v":[]}'),
        *(_packet('{"t":"frame","index":{"kind":"range","v":[0,2,1],"names":[null]},'
                  '"columns":{"kind":"range","v":[0,2,1],"names":[null]},"block":' + block + "}",
                  b"\0" * 64)
          for block in (_array(shape=[4], b=[0, 32]), _array(shape=[2, 3], b=[0, 48]),
                        _array(shape=[2, 2, 1], b=[0, 32]), _array(shape=[2, 2], b=[0, 64]),
                        '{"t":"array","dtype":"object","shape":[2,2],"items":[1,2,3,[4]]}', "[]")),
        _packet('{"t":"dict","v":[[{"t":"array"},1]]}'),
        *(_packet('{"t":"index","v":{"kind":"same","v":' + place + '}}')
          for place in ("0", "-1", '"0"', "1e9")),
    ],
)  # fmt: skip
def test_hostile_packets_are_refused(packet: bytes) -> None:
    with pytest.raises(CodecError):
        decode(packet)


@given(st.binary(max_size=200), st.binary(max_size=50))
@settings(max_examples=300)
def test_random_bytes_never_raise_anything_else(header: bytes, blob: bytes) -> None:
    packet = MAGIC + struct.pack("<Q", len(header)) + header + blob
    try:
        decode(packet)
    except CodecError:
        return


json_trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["array", "frame", "series", "<f8", "range", "flat", "UTC", "ns"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["t", "v", "b", "dtype", "shape", "index", "columns", "names", "kind",
                         "items", "name", "tz", "unit", "freq", "block"]), inner, max_size=6),
    max_leaves=30,
)  # fmt: skip


@given(json_trees)
@settings(max_examples=300)
def test_random_trees_never_raise_anything_else(tree: Any) -> None:
    try:
        decode(_packet(json.dumps(tree), b"\0" * 64))
    except CodecError:
        return


def test_a_frame_of_floats_travels_in_one_piece_and_can_be_changed():
    frame = pd.DataFrame({"a": [1.0, np.nan], "b": [3.0, 4.0]}, index=["x", "y"])
    packet = encode(frame)
    assert packet.count(b'"dtype":"<f8"') == 1
    back = decode(packet)
    pd.testing.assert_frame_equal(back, frame)
    back.loc["x", "a"] = 7.0
    assert back["a"].tolist()[0] == 7.0


def test_labels_that_frames_share_travel_once_and_keep_names_of_their_own():
    first = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}, index=["first row", "second row"])
    second = pd.DataFrame(2 * first.to_numpy(), index=first.index, columns=first.columns)
    packet = encode([first, {"other": second}, first.index])
    assert packet.count(b"first row") == 1
    back, other, labels = decode(packet)
    pd.testing.assert_frame_equal(back, first)
    pd.testing.assert_frame_equal(other["other"], second)
    pd.testing.assert_index_equal(labels, first.index)
    back.index.name = "mine"
    back.index = ["x", "y"]
    assert other["other"].index.name is None
    assert other["other"].index.tolist() == labels.tolist() == ["first row", "second row"]
