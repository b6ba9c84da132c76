"""The page's example does what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from whet.programs.sandbox import Capabilities

PAGE = Path(__file__).parents[3] / "docs" / "arc_synthesis.md"


@pytest.mark.skipif(not Capabilities.detect().seccomp, reason="this machine has no seccomp filters")
def test_the_example_runs_as_pasted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (printed,) = re.findall(r"^```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {"__name__": "page"}
    try:
        exec("".join(blocks), names)
    finally:
        if "server" in names:
            names["server"].shutdown()  # type: ignore[attr-defined]
            names["server"].server_close()  # type: ignore[attr-defined]
    assert capsys.readouterr().out == printed
