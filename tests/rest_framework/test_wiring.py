"""What a project may leave out, and in which order it may import."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROJECT = """
import sys
import django
from django.conf import settings

settings.configure(
    SECRET_KEY="x" * 50,
    USE_TZ=True,
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "rest_framework",
        "typed_sessions",
    ],
    SESSION_ENGINE="typed_sessions.backends.db",
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["typed_sessions.rest_framework.TypedSessionAuthentication"],
        "DEFAULT_THROTTLE_CLASSES": ["typed_sessions.rest_framework.SignInThrottle"],
    },
)
"""


def run(code: str) -> str:
    """What a new process prints that runs a project with our classes among its settings."""
    done = subprocess.run([sys.executable, "-c", PROJECT + code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "first",
    [
        "rest_framework.views",
        "rest_framework.generics",
        "rest_framework.serializers",
        "typed_sessions.rest_framework",
        "typed_sessions.rest_framework.urls",
        "typed_sessions.rest_framework.schema",
    ],
)
def test_settings_may_name_the_classes(first: str) -> None:
    """The project's settings name our classes, and whichever module is imported first finds them."""
    printed = run(f"""
django.setup()
import {first}
from rest_framework.views import APIView
print(*(found.__name__ for found in (*APIView.authentication_classes, *APIView.throttle_classes)))
""")
    assert printed == "TypedSessionAuthentication SignInThrottle"


def test_spectacular_may_be_absent() -> None:
    """A project without drf-spectacular has all the routes."""
    printed = run("""
sys.modules["drf_spectacular"] = None
django.setup()
from typed_sessions.rest_framework import urls
print(len(urls.urlpatterns))
""")
    assert printed == "5"


def test_spectacular_is_not_imported_for_nothing() -> None:
    """Without drf_spectacular among the apps, nothing of it is loaded; with it, our classes are described."""
    code = """
django.setup()
from typed_sessions.rest_framework import urls
print(*("drf_spectacular" in sys.modules, "typed_sessions.rest_framework.schema" in sys.modules))
"""
    assert run(code) == "False False"
    assert run(f"settings.INSTALLED_APPS.append('drf_spectacular')\n{code}") == "True True"
