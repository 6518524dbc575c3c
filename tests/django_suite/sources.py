"""The ``sessions_tests`` package of the installed Django, from its source distribution."""

import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import django

PACKAGE = "sessions_tests"


def fetch(cache: Path) -> Path:
    """Return the directory that makes ``sessions_tests`` importable; download it only the first time."""
    home = cache / f"django-{django.get_version()}"
    if not (home / PACKAGE / "tests.py").is_file():
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
        inside = f"/tests/{PACKAGE}/"
        for member in tar.getmembers():
            if member.isfile() and inside in member.name:
                member.name = f"{PACKAGE}/{member.name.partition(inside)[2]}"
                tar.extract(member, target, filter="data")
