from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from whet.errors import StoreError
from whet.memory import Shelf


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "a.sqlite")
    assert shelf.get("one") is None
    arrays = {"one": np.arange(6, dtype=np.float32).reshape(2, 3), "two": np.zeros((0, 4), np.float16)}
    shelf.put(arrays)
    shelf.put({"two": np.ones((1,), np.int64)})
    again = Shelf(tmp_path / "a.sqlite")
    assert np.array_equal(again.get("one"), arrays["one"])
    assert again.get("one").dtype == np.float32
    assert again.get("two").tolist() == [1]
    again.clear()
    assert shelf.get("one") is None


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match=r"a\.sqlite.*Remove that file"):
        Shelf(tmp_path / "a.sqlite").get("one")
    with pytest.raises(StoreError, match="Remove that file"):
        Shelf(tmp_path / "a.sqlite").put({"one": np.ones(1)})
