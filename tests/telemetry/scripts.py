"""Processes of their own, for what a process can do only once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_SITE = """
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "typed_sessions"],
    SESSION_ENGINE="typed_sessions.backends.db",
    SECRET_KEY="a secret",
)
django.setup()
from typed_sessions.telemetry import counters
"""


def run(script: str, **environment: object) -> str:
    """What the script prints; it runs in a small site, with `counters`."""
    command = [sys.executable, "-W", "error", "-c", _SITE + script]
    given = {**os.environ, **{name: str(value) for name, value in environment.items()}}
    directory = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, env=given, cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
