"""Primary keys of users: whatever their type, sessions are found and ended by them (REQ-S60)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

INSIDE = Path(__file__).parent / "inside.py"
ROOT = INSIDE.parents[3]


@pytest.mark.parametrize("model", ["keyed_by_int", "keyed_by_big_int", "keyed_by_uuid", "keyed_by_text"])
def test_s60_sessions_are_found_by_keys_of_any_type(model: str) -> None:
    """With this user model, in a process of its own, every test of inside.py passes."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "TYPED_SESSIONS"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--ds=tests.web.users.settings", "-p", "no:cacheprovider", INSIDE],
        cwd=ROOT,
        env={**inherited, "TYPED_SESSIONS_TEST_USER": model},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
