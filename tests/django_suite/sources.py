"""Those of the installed Django's tests that are run here, from its source distribution."""

import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

import django

SESSION_TESTS = "sessions_tests"
PACKAGES = {"auth_tests": 800, "messages_tests": 105, "test_client": 110, "csrf_tests": 115, "admin_views": 430}
"""The packages that are run whole, and how many of their tests at least have to pass on stock Django.

Django 5.2 has a few more; fewer means that something was not found, not that all is well.
"""
RUNTESTS = "runtests"
BASE_SETTINGS = "test_sqlite"
_SHARED = ("mail", "templates", "urls.py")
WANTED = (SESSION_TESTS, *PACKAGES, *_SHARED, f"{RUNTESTS}.py", f"{BASE_SETTINGS}.py")


def fetch(cache: Path) -> Path:
    """Return the directory that makes the tests importable; download it only the first time."""
    home = cache / f"django-{django.get_version()}"
    if not all((home / name).exists() for name in WANTED):
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            _unpack(_download(Path(scratch)), Path(scratch) / "unpacked")
            # Moved into place whole: a run that was interrupted must not leave half a suite that looks complete.
            shutil.rmtree(home, ignore_errors=True)
            (Path(scratch) / "unpacked").rename(home)
    return home


def _download(target: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-binary=Django", f"--dest={target}", f"Django=={django.get_version()}"]
    subprocess.run(command, check=True)
    (archive,) = target.glob("*.tar.gz")
    return archive


def _unpack(archive: Path, target: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            _, *inside = PurePosixPath(member.name).parts
            if member.isfile() and inside[0] == "tests" and inside[1] in WANTED:
                member.name = "/".join(inside[1:])
                tar.extract(member, target, filter="data")
