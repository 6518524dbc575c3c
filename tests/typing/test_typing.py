"""What the types promise is what mypy and pyright find: usage.py has no errors, mistakes.py exactly those it names."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
READ = {"usage.py", "mistakes.py"}


def checked(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The answer of a checker for the files of this directory, with the project's own configuration."""
    if importlib.util.find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed: pip install -e '.[dev]'")
    command = [sys.executable, "-m", tool, *arguments, *(str(HERE / name) for name in sorted(READ))]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_mypy() -> None:
    """mypy, strict and with Django's plugin, finds every mistake that is named and no other."""
    answer = checked("mypy", "--no-error-summary", "--show-absolute-path")
    assert (answer.stdout, answer.returncode) == ("", 0), answer.stderr


def test_pyright() -> None:
    """pyright finds every mistake that is named and no other."""
    answer = checked("pyright", "--outputjson", "--pythonpath", sys.executable)
    assert answer.stdout, answer.stderr
    report = json.loads(answer.stdout)
    found = [
        f"{each['file']}:{each['range']['start']['line'] + 1}: {each['message']}"
        for each in report["generalDiagnostics"]
    ]
    assert found == []
    assert report["summary"]["filesAnalyzed"] == len(READ)


def test_the_mistakes_are_there() -> None:
    """The checkers had mistakes to find."""
    assert (HERE / "mistakes.py").read_text().count("# type: ignore[") >= 24
