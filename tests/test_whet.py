"""The package's flat names: all there, and imported only when used."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys

import pytest

import whet


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, whet; print(*({'torch', 'transformers', 'numpy', 'whet.engine'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out.split() == []


def test_every_public_name_is_there_and_type_checkers_see_it() -> None:
    for name in whet.__all__:
        assert getattr(whet, name) is not None
    tree = ast.parse(inspect.getsource(whet))
    seen = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("whet.")
        for alias in node.names
    }
    assert seen == set(whet.__all__) - {"__version__"}
    assert set(whet.__all__) <= set(dir(whet))


def test_every_error_is_public() -> None:
    from whet import errors

    assert {name for name, value in vars(errors).items() if inspect.isclass(value)} <= set(whet.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = whet.Nonsense
