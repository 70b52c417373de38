"""The benches run and give figures. How good the figures are is nobody's assertion here."""

import json
import math
from pathlib import Path

import pytest

from tests.bench.__main__ import BENCHES, main

pytestmark = pytest.mark.long


@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_gives_figures(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the smallest scale: every figure is a number, and the table shows them all."""
    results = tmp_path / "results.json"
    main(["--quick", "--only", name, "--json", str(results)])
    figures = json.loads(results.read_text())["figures"]
    assert figures
    shown = capsys.readouterr().out
    for figure in figures:
        assert math.isfinite(figure["ours"])
        assert figure["ours"] > 0
        assert figure["name"] in shown
