"""Values in and out of the student's kernel: JSON for structure, raw buffers for columns.

The same text runs on both sides; it is sent to the kernel as source and so imports nothing of
the course. A packet is a magic word, the length of a JSON header, the header, and one blob of
bytes that the header's nodes point into. Nothing is ever unpickled, compressed or evaluated:
decoding touches `json.loads` and `numpy.frombuffer` on a short list of dtypes, so the size of
a packet bounds what it can become, and what comes out has exact plain types.
"""

from __future__ import annotations

import base64
import datetime
import json
import math
import re
import struct
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pandas as pd

MAGIC = b"AIOPS1\n"
MAX_BYTES = 256 * 2**20
MAX_HEADER = 32 * 2**20
MAX_DEPTH = 24
MAX_NODES = 1_000_000
_MAX_SAME_HASH = 64
_MAX_INT_DIGITS = 400
_DTYPE = re.compile(r"\|b1|\|[iu]1|<[iu][248]|<f[248]|<c(8|16)|<[Mm]8\[(s|ms|us|ns|D)\]")
_UNIT = re.compile(r"s|ms|us|ns")
# pandas takes what follows "dateutil/" for the path of a file, and opens it.
_ZONE = re.compile(r"(?!dateutil/)[A-Za-z0-9_+\-/:]{1,64}")
_FREQUENCY = re.compile(r"\d{0,5}(s|min|h|D|B|W-[A-Z]{3}|MS|ME)")


class CodecError(ValueError):
    """A value that cannot travel, or a packet that is not one."""


class HandleRef:
    """Stands for a value that is held in the kernel."""

    def __init__(self, key: str) -> None:
        self.key = key


def encode(value: Any) -> bytes:
    """Pack a value.

    Parameters
    ----------
    value : object
        None, bool, int, float, str, bytes, Timestamp, Timedelta, list, tuple (arrives as a
        list), dict, NumPy scalar (arrives as a Python scalar) or array, pandas Series,
        DataFrame or Index, or any nesting of these.

    Raises
    ------
    CodecError
        The value has another type, is nested deeper than `MAX_DEPTH` or is too large.

    Examples
    --------
    >>> decode(encode({"alerts": [1, 2.5, None]}))
    {'alerts': [1, 2.5, None]}
    """
    writer = _Writer()
    tree = writer.node(value, 0)
    header = json.dumps(tree, allow_nan=False, separators=(",", ":")).encode()
    if len(header) > MAX_HEADER:
        raise CodecError(
            f"the value needs {len(header) >> 20} MB of text; {MAX_HEADER >> 20} MB can travel"
        )
    return b"".join([MAGIC, struct.pack("<Q", len(header)), header, *writer.blob])


def decode(packet: bytes) -> Any:
    """Unpack a packet into plain values; the inverse of `encode`.

    Raises
    ------
    CodecError
        Anything about the packet is not as `encode` writes it.
    """
    start = len(MAGIC) + 8
    if len(packet) > MAX_BYTES:
        raise CodecError(f"the packet has {len(packet) >> 20} MB; {MAX_BYTES >> 20} MB are allowed")
    if len(packet) < start or packet[: len(MAGIC)] != MAGIC:
        raise CodecError("not a packet")
    (length,) = struct.unpack("<Q", packet[len(MAGIC) : start])
    if length > MAX_HEADER or start + length > len(packet):
        raise CodecError("the header is longer than the packet or than allowed")
    try:
        header = packet[start : start + length]
        if header.count(b"[") + header.count(b"{") > 4 * MAX_NODES:
            raise CodecError("the header has too many parts")
        tree = json.loads(header, parse_constant=_no_constant)
        return _Reader(memoryview(packet)[start + length :]).value(tree, 0)
    except CodecError:
        raise
    except (Exception, RecursionError) as error:
        raise CodecError(f"malformed packet ({type(error).__name__})") from None


def _no_constant(text: str) -> Any:
    raise CodecError(f"{text} is not JSON")


class _Writer:
    """Builds the header's tree and gathers the blob."""

    def __init__(self) -> None:
        self.blob: list[bytes] = []
        self.size = 0
        self.nodes = 0
        # Frames that go together often share their labels: those are written once.
        self.indexes: dict[int, tuple[Any, int]] = {}

    def buffer(self, data: bytes) -> list[int]:
        place = [self.size, len(data)]
        self.blob.append(data)
        self.size += len(data)
        if self.size > MAX_BYTES:
            raise CodecError(f"the value is larger than the {MAX_BYTES >> 20} MB that can travel")
        return place

    def node(self, value: Any, depth: int) -> Any:
        self.nodes += 1
        if depth > MAX_DEPTH:
            raise CodecError(f"the value is nested deeper than {MAX_DEPTH} levels")
        if self.nodes > MAX_NODES:
            raise CodecError(f"the value has more than {MAX_NODES} parts; return an array instead")
        if value is None or value is pd.NA:
            return None
        if isinstance(value, (bool, np.bool_)):
            return bool(value)
        if isinstance(value, (int, np.integer)) and not isinstance(value, np.timedelta64):
            return self._integer(int(value))
        if isinstance(value, (float, np.floating)):
            number = float(value)
            return number if math.isfinite(number) else {"t": "float", "v": repr(number)}
        if isinstance(value, (complex, np.complexfloating)):
            return {"t": "complex", "v": [repr(float(value.real)), repr(float(value.imag))]}
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, (bytes, bytearray)):
            return {"t": "bytes", "v": base64.b64encode(bytes(value)).decode()}
        if value is pd.NaT or isinstance(value, (np.datetime64, datetime.datetime)):
            return self._moment(pd.Timestamp(value))
        if isinstance(value, (np.timedelta64, datetime.timedelta)):
            return self._span(pd.Timedelta(value))
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.node(item, depth + 1) for item in value]
        if isinstance(value, dict):
            pairs = [
                [self.node(key, depth + 1), self.node(item, depth + 1)]
                for key, item in value.items()
            ]
            return {"t": "dict", "v": pairs}
        if isinstance(value, HandleRef):
            return {"t": "handle", "v": value.key}
        return self._columns(value, depth)

    def _columns(self, value: Any, depth: int) -> dict:
        if isinstance(value, np.ndarray):
            return self._array(value, depth)
        if isinstance(value, pd.DataFrame):
            node = {
                "t": "frame",
                "index": self._index(value.index, depth + 1),
                "columns": self._index(value.columns, depth + 1),
            }
            if value.shape[1] > 1 and _one_plain_dtype(value):
                return {**node, "block": self._array(value.to_numpy().T, depth + 1)}
            columns = range(value.shape[1])
            return {**node, "v": [self._column(value.iloc[:, i], depth + 1) for i in columns]}
        if isinstance(value, pd.Series):
            return {
                "t": "series",
                "index": self._index(value.index, depth + 1),
                "name": self.node(value.name, depth + 1),
                "v": self._column(value, depth + 1),
            }
        if isinstance(value, pd.Index):
            return {"t": "index", "v": self._index(value, depth + 1)}
        if isinstance(value, pd.api.extensions.ExtensionArray):
            return {
                "t": "series",
                "index": self._index(pd.RangeIndex(len(value)), depth + 1),
                "name": None,
                "v": self._column(pd.Series(value), depth + 1),
            }
        raise CodecError(f"a {type(value).__name__} cannot travel")

    @staticmethod
    def _integer(value: int) -> Any:
        if abs(value) < 2**63:
            return value
        if value.bit_length() > 1300:
            raise CodecError("an integer has more than 390 digits")
        return {"t": "int", "v": str(value)}

    @staticmethod
    def _moment(value: Any) -> dict:
        if value is pd.NaT:
            return {"t": "nat"}
        zone = str(value.tz) if value.tz is not None else None
        return {
            "t": "time",
            "v": int(value.value) if value.unit == "ns" else int(value._value),
            "unit": value.unit,
            "tz": zone,
        }

    @staticmethod
    def _span(value: Any) -> dict:
        if value is pd.NaT:
            return {"t": "nat"}
        return {"t": "span", "v": int(value._value), "unit": value.unit}

    def _array(self, value: np.ndarray, depth: int) -> dict:
        array = np.asarray(value)
        shape = [int(size) for size in array.shape]
        little = array.dtype.newbyteorder("<")
        if _DTYPE.fullmatch(little.str):
            data = np.ascontiguousarray(array, dtype=little).tobytes()
            return {"t": "array", "dtype": little.str, "shape": shape, "b": self.buffer(data)}
        if array.dtype.kind in "OUST":
            items = [self.node(item, depth + 1) for item in array.ravel().tolist()]
            return {"t": "array", "dtype": "object", "shape": shape, "items": items}
        raise CodecError(f"an array of dtype {array.dtype} cannot travel")

    def _column(self, series: Any, depth: int) -> dict:
        dtype = series.dtype
        if isinstance(dtype, pd.CategoricalDtype):
            return self._column(pd.Series(series.tolist(), dtype=dtype.categories.dtype), depth)
        if isinstance(dtype, pd.DatetimeTZDtype):
            values = series.to_numpy(dtype=f"datetime64[{dtype.unit}]")
            return {**self._array(values, depth), "tz": str(dtype.tz)}
        if isinstance(dtype, pd.StringDtype):
            items = series.tolist()
            missing = series.isna()
            if missing.any():
                pairs = zip(items, missing.tolist(), strict=True)
                items = [None if absent else item for item, absent in pairs]
            self.nodes += len(items)
            return {"t": "text", "items": items}
        if isinstance(dtype, np.dtype):
            return self._array(series.to_numpy(), depth)
        if dtype.kind in "biuf":
            plain = "float64" if series.isna().any() or dtype.kind == "f" else dtype.kind + "8"
            plain = "bool" if plain == "b8" else plain
            return self._array(
                series.to_numpy(dtype=plain, na_value=math.nan)
                if plain == "float64"
                else series.to_numpy(dtype=plain),
                depth,
            )
        return self._array(series.to_numpy(dtype=object), depth)

    def _index(self, index: Any, depth: int) -> dict:
        known = self.indexes.get(id(index))
        if known is not None:
            return {"kind": "same", "v": known[1]}
        node = self._new_index(index, depth)
        # Kept, so that no other gets its id.
        self.indexes[id(index)] = index, len(self.indexes)
        return node

    def _new_index(self, index: Any, depth: int) -> dict:
        names = [self.node(name, depth + 1) for name in index.names]
        if isinstance(index, pd.RangeIndex):
            return {"kind": "range", "v": [index.start, index.stop, index.step], "names": names}
        if isinstance(index, pd.MultiIndex):
            levels = [
                self._column(index.get_level_values(i), depth + 1) for i in range(index.nlevels)
            ]
            return {"kind": "multi", "v": levels, "names": names}
        out = {"kind": "flat", "v": self._column(index, depth + 1), "names": names}
        frequency = getattr(index, "freqstr", None)
        if frequency and _FREQUENCY.fullmatch(frequency):
            out["freq"] = frequency
        return out


class _Reader:
    """Turns a header's tree and its blob into values, trusting neither."""

    def __init__(self, blob: memoryview) -> None:
        self.blob = blob
        self.nodes = 0
        self.bytes = 0
        self.indexes: list[pd.Index] = []

    def value(self, node: Any, depth: int) -> Any:
        self.nodes += 1
        if depth > MAX_DEPTH + 2 or self.nodes > MAX_NODES:
            raise CodecError("the value is nested too deep or has too many parts")
        if node is None or type(node) in (bool, int, float, str):
            return node
        if type(node) is list:
            return [self.value(item, depth + 1) for item in node]
        if type(node) is not dict:
            raise CodecError("unknown node")
        reader = self._READERS.get(str(node.get("t")))
        if reader is None:
            raise CodecError("unknown type tag")
        return reader(self, node, depth)

    def _float(self, node: dict, depth: int) -> float:
        if node["v"] not in ("nan", "inf", "-inf"):
            raise CodecError("not a float")
        return float(node["v"])

    def _complex(self, node: dict, depth: int) -> complex:
        real, imaginary = node["v"]
        return complex(float(real), float(imaginary))

    def _int(self, node: dict, depth: int) -> int:
        text = node["v"]
        if type(text) is not str or len(text) > _MAX_INT_DIGITS:
            raise CodecError("not an integer")
        return int(text)

    def _bytes(self, node: dict, depth: int) -> bytes:
        return base64.b64decode(node["v"], validate=True)

    def _nat(self, node: dict, depth: int) -> Any:
        return pd.NaT

    def _time(self, node: dict, depth: int) -> pd.Timestamp:
        stamp = pd.Timestamp(np.datetime64(_int64(node["v"]), _match(_UNIT, node["unit"])))
        return (
            stamp
            if node["tz"] is None
            else stamp.tz_localize("UTC").tz_convert(_match(_ZONE, node["tz"]))
        )

    def _span(self, node: dict, depth: int) -> pd.Timedelta:
        return pd.Timedelta(np.timedelta64(_int64(node["v"]), _match(_UNIT, node["unit"])))

    def _dict(self, node: dict, depth: int) -> dict:
        out = {}
        hashes: Counter = Counter()
        for key, item in node["v"]:
            plain = self.value(key, depth + 1)
            plain = tuple(plain) if type(plain) is list else plain
            _count_hash(hashes, plain)
            out[plain] = self.value(item, depth + 1)
        return out

    def _handle(self, node: dict, depth: int) -> HandleRef:
        if type(node["v"]) is not str:
            raise CodecError("not a handle")
        return HandleRef(node["v"])

    def _array(self, node: dict, depth: int) -> np.ndarray:
        shape = tuple(node["shape"])
        if len(shape) > 8 or not all(type(n) is int and 0 <= n < 2**40 for n in shape):
            raise CodecError("not a shape")
        count = math.prod(shape)
        if node["dtype"] == "object":
            items = [self.value(item, depth + 1) for item in node["items"]]
            if len(items) != count:
                raise CodecError("the shape does not fit the items")
            array = np.empty(len(items), dtype=object)
            for i, item in enumerate(items):
                array[i] = item
            return array.reshape(shape)
        dtype = np.dtype(_match(_DTYPE, node["dtype"]))
        start, size = map(_int64, node["b"])
        self.bytes += size
        if (
            size != count * dtype.itemsize
            or start < 0
            or start + size > len(self.blob)
            or self.bytes > MAX_BYTES
        ):
            raise CodecError("a buffer does not fit its shape")
        array = np.frombuffer(self.blob[start : start + size], dtype=dtype).reshape(shape).copy()
        if dtype.kind == "b":
            array = array.view(np.uint8) != 0
        return array

    def _column(self, node: dict, depth: int) -> pd.Series:
        if node.get("t") == "text":
            return pd.Series(_texts(node), dtype="str")
        if node.get("t") != "array":
            raise CodecError("not a column")
        series = pd.Series(self._array(node, depth))
        if node.get("tz") is not None:
            series = series.dt.tz_localize("UTC").dt.tz_convert(_match(_ZONE, node["tz"]))
        return series

    def _labels(self, node: dict, depth: int) -> pd.Index | pd.Series:
        """A column of labels; text and times with a zone, the usual ones, take a short cut."""
        if node.get("t") == "text":
            return pd.Index(_texts(node), dtype="str")
        if node.get("t") != "array" or node.get("tz") is None:
            return self._column(node, depth)
        times = pd.DatetimeIndex(self._array(node, depth)).tz_localize("UTC")
        return times.tz_convert(_match(_ZONE, node["tz"]))

    def _index(self, node: dict, depth: int) -> pd.Index:
        if node["kind"] == "same":
            place = _int64(node["v"])
            if not 0 <= place < len(self.indexes):
                raise CodecError("labels are said to have come before, and have not")
            # A view has a name of its own.
            return self.indexes[place].view()
        index = self._new_index(node, depth)
        self.indexes.append(index)
        return index

    def _new_index(self, node: dict, depth: int) -> pd.Index:
        names = [self.value(name, depth + 1) for name in node["names"]]
        names = [tuple(name) if type(name) is list else name for name in names]
        if node["kind"] == "range":
            span = range(*map(_int64, node["v"]))
            if len(span) > MAX_BYTES // 8:
                raise CodecError("a range is too long")
            return pd.RangeIndex(span, name=names[0])
        if node["kind"] == "multi":
            if not 0 < len(node["v"]) <= 8:
                raise CodecError("not a MultiIndex")
            columns = [self._column(level, depth + 1) for level in node["v"]]
            if len({len(column) for column in columns}) != 1:
                raise CodecError("levels differ in length")
            levels, codes = zip(*map(_factorize, columns), strict=True)
            return pd.MultiIndex(levels, codes, names=names, verify_integrity=False)
        index = pd.Index(self._labels(node["v"], depth + 1), name=names[0])
        if "freq" in node and isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex)):
            index = type(index)(index, freq=_match(_FREQUENCY, node["freq"]), name=names[0])
        return index

    def _plain_index(self, node: dict, depth: int) -> pd.Index:
        return self._index(node["v"], depth)

    def _series(self, node: dict, depth: int) -> pd.Series:
        index = self._index(node["index"], depth + 1)
        series = self._column(node["v"], depth + 1)
        if len(series) != len(index):
            raise CodecError("a series and its index differ in length")
        name = self.value(node["name"], depth + 1)
        series.name = tuple(name) if type(name) is list else name
        series.index = index
        return series

    def _frame(self, node: dict, depth: int) -> pd.DataFrame:
        index = self._index(node["index"], depth + 1)
        columns = self._index(node["columns"], depth + 1)
        if "block" in node:
            values = self._array(node["block"], depth + 1)
            if values.shape != (len(columns), len(index)) or values.dtype == object:
                raise CodecError("a frame's values do not fit its labels")
            return pd.DataFrame(values.T, index=index, columns=columns)
        parts = [self._column(part, depth + 1) for part in node["v"]]
        if len(parts) != len(columns) or any(len(part) != len(index) for part in parts):
            raise CodecError("a frame's columns do not fit its labels")
        frame = pd.DataFrame(dict(enumerate(parts)), index=pd.RangeIndex(len(index)))
        frame.index, frame.columns = index, columns
        return frame

    _READERS: ClassVar[dict[str, Callable]] = {
        "float": _float, "complex": _complex, "int": _int, "bytes": _bytes, "nat": _nat,
        "time": _time, "span": _span, "dict": _dict, "handle": _handle, "array": _array,
        "index": _plain_index, "series": _series, "frame": _frame,
    }  # fmt: skip


def _one_plain_dtype(frame: pd.DataFrame) -> bool:
    """Whether all columns are of one dtype whose bytes can travel as one block."""
    first, *others = frame.dtypes.to_numpy()
    plain = isinstance(first, np.dtype) and _DTYPE.fullmatch(first.newbyteorder("<").str)
    return bool(plain) and all(other == first for other in others)


def _texts(node: dict) -> list[str | None]:
    items: list[str | None] = node["items"]
    if not set(map(type, items)) <= {str, type(None)}:
        raise CodecError("not text")
    return items


def _count_hash(hashes: Counter, key: Any) -> None:
    """Refuse keys whose hashes collide: a dict of them takes time that grows with their square."""
    number = hash(key)
    hashes[number] += 1
    if hashes[number] > _MAX_SAME_HASH:
        raise CodecError("its keys collide")


def _factorize(column: pd.Series) -> tuple[pd.Index, np.ndarray]:
    """Labels of a level and every row's place among them.

    Numbers and times are sorted, since the sender could choose some that collide in a hash table.
    """
    zone = column.dt.tz if isinstance(column.dtype, pd.DatetimeTZDtype) else None
    plain = column if zone is None else column.dt.tz_convert("UTC").dt.tz_localize(None)
    if isinstance(plain.dtype, np.dtype) and plain.dtype.kind in "biufmM":
        values, codes = np.unique(plain.to_numpy(), return_inverse=True)
        if len(values) and pd.isna(values[-1]):
            codes, values = np.where(codes == len(values) - 1, -1, codes), values[:-1]
        labels = pd.Index(values)
        return (labels if zone is None else labels.tz_localize("UTC").tz_convert(zone)), codes
    if plain.dtype == object:
        seen: dict[int, list] = {}
        for item in plain:
            same = seen.setdefault(hash(item), [])
            if not any(item is other or item == other for other in same):
                same.append(item)
            if len(same) > _MAX_SAME_HASH:
                raise CodecError("labels collide")
    codes, labels = pd.factorize(plain)
    return pd.Index(labels, dtype=labels.dtype), codes


def _match(pattern: re.Pattern, text: Any) -> Any:
    if type(text) is not str or not pattern.fullmatch(text):
        raise CodecError("a label is not one of those allowed")
    return text


def _int64(value: Any) -> int:
    if type(value) is not int or abs(value) >= 2**63:
        raise CodecError("not a 64-bit integer")
    return value
