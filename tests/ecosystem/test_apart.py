"""The tests of this directory need settings, and so a process, of their own; here they are run in one."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGES = ["allauth", "axes", "channels", "easyaudit", "hijack", "user_visit"]
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(
    not all(map(find_spec, PACKAGES)), reason="the extra `ecosystem` is not installed: pip install -e '.[ecosystem]'"
)
def test_packages_of_others() -> None:
    """Signed in by other packages, impersonated, locked out and audited, a session is what it is without them."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--ds=tests.ecosystem.settings"]
    # What the process around this one was told is not meant for that one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "DJANGO_"))}
    done = subprocess.run(
        [*command, "tests/ecosystem"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
