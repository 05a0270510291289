from __future__ import annotations

import pytest
from conftest import REFERENCE

import seekvl
from seekvl._progress import Line, line, reporter


def test_a_line_says_how_far_a_file_is() -> None:
    assert line("a.bin", 2_000_000_000, 500_000_000, 5.0) == (
        "a.bin:  25%|█████               | 500 MB/2.00 GB [5s<15s, 100 MB/s]"
    )
    assert line("a.bin", 0, 0, 0.0).startswith("a.bin: 100%|████████████████████| 0 B/0 B")


def test_lines_are_for_terminals(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert reporter(progress=True) is None, "nobody reads standard error here"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert isinstance(reporter(progress=True), Line)
    assert reporter(progress=False) is None
    show = Line()
    show("a", 10, 5)
    show("a", 10, 10)
    written = capsys.readouterr().err
    assert written.count("\r") == 2
    assert written.count("\n") == 1


def test_functions_are_not_called_for_short_loads() -> None:
    calls: list[tuple[str, int, int]] = []
    seekvl.load(REFERENCE / "vl2-tiny-like", progress=lambda *call: calls.append(call))
    assert calls == []
