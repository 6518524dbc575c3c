"""What a user gets from the package index: the files, the metadata, and no more than they asked for."""

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

import pytest

import typed_sessions

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "typed_sessions"


def _shipped() -> set[str]:
    """Every file of the package in this tree, less what Python leaves behind when it runs."""
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(ROOT).as_posix() for path in files}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the wheel and the source distribution."""
    # From a copy: a build leaves build/ behind, and one that is already there would hide a file that is missing.
    copy = tmp_path_factory.mktemp("source") / "project"
    shutil.copytree(
        ROOT, copy, ignore=shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "_build")
    )
    command = [sys.executable, "-m", "build", "--wheel", "--sdist", "--no-isolation", "--outdir", str(copy / "dist")]
    done = subprocess.run([*command, str(copy)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return copy / "dist"


@pytest.fixture(scope="module")
def wheel(built: Path) -> Iterator[ZipFile]:
    (path,) = built.glob("*.whl")
    with ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel: ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return HeaderParser().parsestr(wheel.read(name).decode())


def test_the_wheel_holds_the_package_and_nothing_else(wheel: ZipFile) -> None:
    """Every file of typed_sessions/ is in the wheel, and no test, sample or benchmark is."""
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == _shipped()


def test_the_source_distribution_holds_it_too(built: Path) -> None:
    """Every file of typed_sessions/ is in the source distribution, with templates, styles and catalogues."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert _shipped() - names == set()
    for kind in ("admin.css", "admin.js", "confirm.html", "django.mo", "django.po"):
        assert [name for name in names if name.startswith("typed_sessions/") and name.endswith(f"/{kind}")]


def test_the_wheel_holds_the_marker_for_type_checkers(wheel: ZipFile) -> None:
    """A type checker of a project that installs the wheel sees the package's types."""
    assert "typed_sessions/py.typed" in wheel.namelist()


def test_every_folder_with_modules_is_a_package() -> None:
    """No folder of modules lacks its __init__.py, without which the build leaves it out silently."""
    folders = {path.parent for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_the_wheel_says_what_it_is(metadata: Message) -> None:
    """Name, version, Python and license are those of this tree."""
    assert metadata["Name"] == "django-typed-sessions"
    assert metadata["Version"] == typed_sessions.__version__
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License"] == "BSD-3-Clause"


def test_the_core_needs_three_packages_only(metadata: Message) -> None:
    """Without an extra, the package asks for Django, msgspec and what the admin reads user agents with."""
    core = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(line.partition(">")[0] for line in core) == ["Django", "msgspec", "ua-parser"]


def test_the_extras_are_the_documented_ones(metadata: Message) -> None:
    """Each group of optional packages has the name that README and CONTRIBUTING use."""
    optional = {"redis", "drf", "openapi", "prometheus", "opentelemetry", "geoip"}
    extras = {*optional, "demo", "ecosystem", "test", "postgres", "browser", "docs", "dev"}
    assert set(metadata.get_all("Provides-Extra", [])) == extras


WITHOUT_EXTRAS = """
import sys
extras = "django_redis redis hiredis rest_framework psycopg prometheus_client opentelemetry geoip2"
for name in extras.split():
    sys.modules[name] = None
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "typed_sessions"],
    SESSION_ENGINE="typed_sessions.backends.db",
)
django.setup()
import typed_sessions.auth, typed_sessions.middleware, typed_sessions.signals
from typed_sessions.backends import cache, cached_db, db
"""


def test_the_core_runs_without_any_extra() -> None:
    """The app, its middleware and three engines import where neither Redis' client nor DRF is installed."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_EXTRAS], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
