"""README.rst and docs/: their Python runs, and what they say of the package is what the package does.

A Python block says on its first line which file it is, as a comment. The blocks of a page make up the project ``shop``,
on top of README's; blocks of one file are put together in order. Blocks of ``shop/settings.py`` are alternatives. The
views of a page answer under their names, and where its ``shop/urls.py`` has them.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
import textwrap
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import timedelta
from decimal import Decimal
from functools import cache
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import requests
from django.conf import settings as django_settings
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.contrib.auth.signals import user_logged_in
from django.core import checks
from django.dispatch import Signal
from django.test import AsyncClient, Client, override_settings
from django.urls import URLPattern, path

import typed_sessions
from tests.servers.process import Server
from tests.servers.redis import RedisServer, free_port
from typed_sessions import (
    EndReason,
    SessionMode,
    SessionStatus,
    auth,
    clock,
    conf,
    decorators,
    exceptions,
    signals,
    snapshots,
)
from typed_sessions.backends import patience
from typed_sessions.backends.db import SessionStore
from typed_sessions.backends.loaded import ROTATION_WINDOW
from typed_sessions.backends.redis import SessionStore as RedisSessionStore
from typed_sessions.checks import messages
from typed_sessions.management.verbs.reaping import Reap
from typed_sessions.middleware import RETRY_AFTER
from typed_sessions.models import StoredSession
from typed_sessions.session import TypedSession
from typed_sessions.stores import async_redis, cached_database, database, record, wire
from typed_sessions.stores.base import Store
from typed_sessions.transports import headers

if TYPE_CHECKING:
    from pytest_django import Settings

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.rst"
PAGES = (README, *sorted((ROOT / "docs").glob("*.rst")))
WITH_PYTHON = [page for page in PAGES if ".. code-block:: python\n" in page.read_text(encoding="utf-8")]
ALL_SIGNALS = [signal for signal in vars(signals).values() if isinstance(signal, Signal)]
ADA = {"username": "ada", "password": "secret"}

Project = Callable[[Path], ModuleType]


def docs(name: str) -> Path:
    return ROOT / "docs" / f"{name}.rst"


# Pages


class Block(NamedTuple):
    """A block of code of a page."""

    page: Path
    line: int
    text: str

    @property
    def file(self) -> str:
        """What its first line says: a path, perhaps with ``, release 2``."""
        found = re.match(r"# (shop/\w+\.py(, release \d+)?)\n", self.text)
        return found[1] if found else ""

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


_BLOCK = re.compile(
    r"""^(?P<indent>\ *)\.\.\ code-block::\ (?P<language>\w+)\n\n
        (?P<text>(?:(?P=indent)\ {4}.*\n|\n)+)""",
    re.MULTILINE | re.VERBOSE,
)


@cache
def blocks(page: Path, language: str = "python") -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, textwrap.dedent(found["text"]).strip() + "\n")
        for found in _BLOCK.finditer(text)
        if found["language"] == language
    ]


def settings_blocks(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.file == "shop/settings.py"]


def settings_of(block: Block, **given: Any) -> dict[str, Any]:
    """What a block of settings sets, on top of ``given``."""
    exec(compile(block.text, str(block), "exec"), given)
    return {name: value for name, value in given.items() if name.isupper()}


def files_of(page: Path) -> dict[str, str]:
    files: dict[str, str] = {}
    for block in blocks(page):
        name, _, release = block.file.partition(", release ")
        if name != "shop/settings.py":
            name = f"shop/release_{release}.py" if release else name
            files[name] = files.get(name, "") + block.text
    return files


def write(directory: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")


def words(text: str) -> str:
    return " ".join(text.split())


def section(page: Path, title: str) -> str:
    """The text under a heading, as far as the next one of the same kind."""
    text = page.read_text(encoding="utf-8")
    begin = re.search(rf"^{re.escape(title)}\n([=-])\1+\n", text, re.M)
    assert begin, f"{page.name} has no heading {title!r}"
    end = re.search(rf"^.+\n{begin[1]}{{4,}}\n", text[begin.end() :], re.M)
    return text[begin.end() :][: end.start() if end else None]


def rows(text: str) -> list[list[str]]:
    """The first lines of the rows of the simple tables in ``text``, as cells."""
    found: list[list[str]] = []
    columns: list[slice] = []
    for line in text.splitlines():
        if re.fullmatch(r" *=+( +=+)+", line):
            starts = [rule.start() for rule in re.finditer(r"=+", line)]
            columns = [slice(*ends) for ends in zip(starts, [*starts[1:], None], strict=True)]
        elif not line.strip():
            columns = []
        elif columns and not line[columns[0]].startswith(" "):
            found.append([line[column].strip() for column in columns])
    return found


# The project of a page


@pytest.fixture
def project(tmp_path: Path, settings: Settings) -> Iterator[Project]:
    """`project(page)` makes README's project with the page's blocks in it importable, and gives its views."""
    connected = [(signal, [*signal.receivers]) for signal in (*ALL_SIGNALS, user_logged_in)]
    registered = {**admin.site._registry}
    sys.path.insert(0, str(tmp_path))
    settings.TYPED_SESSIONS = {"SESSION_CLASS": "shop.sessions.ShopSession"}

    def make(page: Path) -> ModuleType:
        (tmp_path / "shop").mkdir()
        write(tmp_path, {"shop/__init__.py": "", **files_of(README), **files_of(page)})
        is_of_readme = page == README or "shop/views.py" not in files_of(page)
        has_urls = is_of_readme or "shop/urls.py" in files_of(page)
        if not has_urls:
            (tmp_path / "shop/urls.py").unlink()  # of README's views
        views = importlib.import_module("shop.views")
        settings.ROOT_URLCONF = urlconf(views)
        if has_urls and not is_of_readme:
            patterns: Any = settings.ROOT_URLCONF
            patterns.urlpatterns += importlib.import_module("shop.urls").urlpatterns
        return views

    yield make
    sys.path.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.split(".")[0] == "shop"]:
        del sys.modules[name]
    admin.site._registry = registered
    for signal, receivers in connected:
        signal.receivers = receivers
        signal.sender_receivers_cache.clear()


def urlconf(views: ModuleType) -> ModuleType:
    """An address for each view: its name, and its arguments as parts of the path."""
    module = ModuleType("shop.urls_of_views")
    vars(module)["urlpatterns"] = list(_patterns(views))
    return module


def _patterns(views: ModuleType) -> Iterator[URLPattern]:
    for name, view in vars(views).items():
        if getattr(view, "__module__", "") != views.__name__:
            continue
        if hasattr(view, "as_view"):
            yield path(f"{name}/", view.as_view(), name=name)
        elif inspect.isfunction(view) and next(iter(inspect.signature(view).parameters), "") == "request":
            _, *arguments = inspect.signature(view).parameters
            yield path("/".join([name, *(f"<str:{argument}>" for argument in arguments), ""]), view, name=name)


def session_classes() -> list[str]:
    """Dotted paths of the session classes in the project's modules."""
    return [
        f"{name}.{member.__name__}"
        for name, module in sys.modules.items()
        if name.startswith("shop.")
        for member in vars(module).values()
        if isinstance(member, type) and issubclass(member, TypedSession) and member.__module__ == name
    ]


@pytest.fixture
def templates(tmp_path: Path, settings: Settings) -> Path:
    """A directory in which templates are found."""
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    return tmp_path


def stored(**bag: object) -> Any:
    """A session that is stored."""
    store = SessionStore()
    store.update(bag or {"kept": 1})
    store.save()
    return store


def visit(client: Client, store: SessionStore) -> None:
    client.cookies["ss-id"] = store.session_key or ""


def session_of(client: Client) -> Any:
    """What is stored of a client's browser."""
    option = client.cookies.get("ss-opt")
    return SessionStore(client.cookies["ss-pid" if option and option.value == "perm" else "ss-id"].value).typed_session


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user(**ADA, first_name="Ada", last_name="Lovelace")


# Every page


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_every_python_block_says_which_file_it_is(page: Path) -> None:
    """No Python block escapes the tests for want of a first line that names its file."""
    assert [str(block) for block in blocks(page) if not block.file] == []
    assert len(blocks(page)) == page.read_text(encoding="utf-8").count(".. code-block:: python\n")


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_every_module_of_a_page_can_be_imported(
    page: Path, project: Project, settings: Settings, tmp_path: Path
) -> None:
    """The files that a page shows are modules of one project, with session classes that pass the checks."""
    project(page)
    for module in sorted((tmp_path / "shop").glob("*.py")):
        importlib.import_module(f"shop.{module.stem}")
    for session_class in session_classes():
        settings.TYPED_SESSIONS = {"SESSION_CLASS": session_class}
        assert checks.run_checks(tags=["typed_sessions"]) == []


EXPECTED = {
    '"typed_sessions.backends.cache"': ["typed_sessions.W038"],
    '"REVOCATION_JOURNAL": True': ["typed_sessions.W043"] * 2,  # here, where the engine is another one
}
"""Messages that a block of settings is meant to bring, by what it says."""


@pytest.mark.parametrize("block", [block for page in PAGES for block in settings_blocks(page)], ids=str)
def test_settings_pass_the_checks(block: Block, project: Project, settings: Settings) -> None:
    """Each block of settings, at the end of a project's, brings no message but those that its page tells of."""
    project(block.page)
    found = settings_of(block, INSTALLED_APPS=[], MIDDLEWARE=settings.MIDDLEWARE)
    assert found.pop("INSTALLED_APPS") in ([], ["typed_sessions"])
    with override_settings(DEBUG=False, **found):
        told = [message.id for message in checks.run_checks(tags=["typed_sessions"])]
    assert told == next((EXPECTED[text] for text in EXPECTED if text in block.text), [])


@pytest.mark.django_db
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "pycon")], ids=lambda page: page.name)
def test_shell_prints_what_is_shown(page: Path, project: Project) -> None:
    """What a page shows of a Python shell is what the shell prints."""
    project(page)
    report = StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for block in blocks(page, "pycon"):
        example = doctest.DocTestParser().get_doctest(block.text, {}, str(block), str(page), block.line)
        runner.run(example, out=report.write)
    assert report.getvalue() == ""
    assert runner.tries


def every() -> Any:
    """Seconds between two rounds of a reaper that nobody has told otherwise."""
    parser = ArgumentParser()
    Reap().add_arguments(parser)
    return parser.get_default("every")


FIGURES = [
    ("concurrency", "for 5 seconds at least", patience.SECONDS, 5),
    ("concurrency", "for 60 seconds, a request that has the old cookie", ROTATION_WINDOW, 60),
    ("concurrency", "may still save for 30 seconds", record.GRACE, 30),
    ("concurrency", "every 10 milliseconds or so", patience.PAUSE / 2, 0.01),
    ("storing", "under its key for an hour", record.TOMBSTONE_LIFE, 3600),
    ("cookies-and-lifetimes", "is remembered for an hour", record.TOMBSTONE_LIFE, 3600),
    ("storing", "expired less than 30 seconds ago", record.GRACE, 30),
    ("writing-a-store", "the grace of 30 seconds", record.GRACE, 30),
    ("storing", "an hour after their expiry", record.LINGER, 3600),
    ("writing-a-store", "an hour after its expiry", record.LINGER, 3600),
    ("operations", "looks every 30 seconds", every(), 30),
    ("operations", "has expired for an hour", record.LINGER, 3600),
    ("storing", "which stays for 4 seconds", cached_database.MARK_LIFE, 4),
    ("storing", "60 seconds at most", cached_database.COPY_LIFE, 60),
    ("storing", "longer than a second", cached_database.SLOW_READ, 1),
    ("storing", "at most 50 for each event loop", async_redis.MAX_CONNECTIONS, 50),
    ("storing", "1,000 to a", database._SWEEP, 1000),
    ("storing", "``Retry-After: 1``", RETRY_AFTER, 1),
    ("cookies-and-lifetimes", "400 days", conf.BROWSER_LIMIT, timedelta(days=400)),
]


@pytest.mark.parametrize(("page", "told", "actual", "figure"), FIGURES, ids=str)
def test_figures_are_those_of_the_code(page: str, told: str, actual: object, figure: object) -> None:
    """A figure that a page names is the one in the code."""
    assert told in words(docs(page).read_text(encoding="utf-8"))
    assert actual == figure


# README: what a reader types


class Shop(Server):
    """A project, served by its own ``manage.py``."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory, self.port = directory, free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        manage = str(self.directory / "manage.py")
        # pytest's own settings must not reach it.
        program = ["env", "-u", "DJANGO_SETTINGS_MODULE", sys.executable, manage]
        return [*program, "runserver", "--noreload", str(self.port)]

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/no-such-page", timeout=5).status_code == 404
        except requests.ConnectionError:
            return False


def quick_start() -> list[str]:
    """The lines for a terminal in README's quick start."""
    literal = re.findall(r"::\n\n((?: {4}.*\n|\n)+)", section(README, "Quick start"))
    return [line.strip() for block in literal for line in block.splitlines() if line.strip()]


def run(line: str, directory: Path, **environment: str) -> str:
    program, *arguments = line.split()
    command = [sys.executable, "-m", "django"] if program == "django-admin" else [sys.executable]
    ours = ("DJANGO_SETTINGS_MODULE", "PYTEST_ADDOPTS")
    inherited = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        [*command, *arguments], cwd=directory, env={**inherited, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def add_settings(directory: Path, text: str) -> None:
    with (directory / "shop/settings.py").open("a", encoding="utf-8") as file:
        file.write(f"\n{text}")


@pytest.fixture
def started(tmp_path: Path) -> Path:
    """A new project with README's files in it, and README's first block of settings at the end of its own."""
    start, change = quick_start()[1:3]
    run(start, tmp_path)
    directory = tmp_path / change.removeprefix("cd ")
    write(directory, files_of(README))
    add_settings(directory, settings_blocks(README)[0].text)
    return directory


def test_quick_start_works_as_it_is_written(started: Path) -> None:
    """README's files and commands, typed into a new project, serve the page that README shows."""
    install, *_, migrate, check, serve = quick_start()
    assert install == "pip install django-typed-sessions"
    assert "Applying typed_sessions.0001_initial... OK" in run(migrate, started)
    assert run(check, started) == "System check identified no issues (0 silenced).\n"
    assert serve == "python manage.py runserver"
    (page,) = re.findall(r"http://127\.0\.0\.1:8000(/add/\S*)", section(README, "Quick start"))
    (shown,) = blocks(README, "json")
    with Shop(started) as shop, requests.Session() as browser:
        answer = browser.get(shop.url + page, timeout=10)
        assert (answer.url, answer.text) == (f"{shop.url}/", shown.text.strip())
        assert set(browser.cookies.keys()) == {"ss-id"}


def test_quick_start_on_redis_stores_what_is_shown(started: Path, valkey: RedisServer) -> None:
    """README's project on Redis leaves a record like the one that README shows, where README finds it."""
    add_settings(started, settings_blocks(README)[1].text.replace("redis://127.0.0.1:6379/0", valkey.url))
    run("python manage.py migrate", started)
    with Shop(started) as shop, requests.Session() as browser:
        assert browser.get(f"{shop.url}/add/teapot/", headers={"User-Agent": "curl/8.5.0"}, timeout=10).ok
    shown = in_redis_cli()
    client: Any = valkey.client()
    (session_id,) = client.zrevrange(shown.newest, 0, 0)
    value = json.loads(client.get(typed_sessions.urn(session_id.decode())))
    assert like(value) == like(json.loads(shown.record))
    assert list(value) == list(json.loads(shown.record))


class InRedisCli(NamedTuple):
    newest: str
    record: str


def in_redis_cli() -> InRedisCli:
    """What README finds with redis-cli; the session is the same throughout, and its record is one that is read."""
    (console,) = blocks(README, "console")
    newest, session_id, get, *value = console.text.splitlines()
    assert get == f"$ redis-cli --raw GET {typed_sessions.urn(session_id)}"
    shown = InRedisCli(newest.split()[-3], "".join(line.strip() for line in value))
    assert isinstance(wire.decode(session_id, shown.record.encode()), record.Record)
    return shown


def like(value: dict[str, Any]) -> dict[str, Any]:
    """A record without what differs from one visit to the next."""
    varying = {"id", "nonce", "earlier", "seen", "expires", "created", "modified"}
    return {name: type(part) if name in varying else part for name, part in value.items()}


def test_storing_shows_the_same_record() -> None:
    """The record in `Storing sessions` is README's, and its table has each part of one."""
    (shown,) = blocks(docs("storing"), "json")
    assert "".join(line.strip() for line in shown.text.splitlines()) == in_redis_cli().record
    text = section(docs("storing"), "The record")
    assert [name for name in record.Record.__struct_fields__ if f"``{name}``" not in text] == []


def test_demo_prints_what_is_shown(tmp_path: Path) -> None:
    """`manage.py demo` prints the lines that README shows, but for the directory of the database."""
    (shown,) = blocks(README, "text")
    environment = {"TYPED_SESSIONS_DEMO_DIR": str(tmp_path / ".demo"), "NO_COLOR": "1"}
    printed = run(f"python {ROOT / 'manage.py'} demo --no-serve", tmp_path, **environment)
    assert printed.replace(str(tmp_path), "...").split() == shown.text.split()


def test_readme_has_the_two_commands() -> None:
    """README has the commands that take a machine with Python, pip and git to the shop, and to the tests."""
    begin = "python3 -m venv .venv && .venv/bin/pip install -e"
    assert [line.strip() for line in section(README, "See it run").splitlines() if begin in line] == [
        f'{begin} ".[demo]" && .venv/bin/python manage.py demo',
        f'{begin} ".[test]" && .venv/bin/python -m pytest',
    ]


# README: what a reader looks up


def test_s56_lifetimes_are_the_defaults() -> None:
    """The lifetimes in README's table are those of the settings."""
    with override_settings(TYPED_SESSIONS={}):
        defaults = conf.settings()
    seconds = {
        "``TEMP_EXPIRY``": defaults.temp_seconds,
        "``PERM_EXPIRY``": defaults.perm_seconds,
        "``ABSOLUTE_EXPIRY``": defaults.absolute_seconds,
        "``TOUCH_INTERVAL``": defaults.touch_interval,
    }
    table = [row[1:3] for row in rows(section(README, "How long a session lives")) if row[1].startswith("``")]
    assert {name: _seconds(*span.split()) for name, span in table} == seconds


def _seconds(number: str, unit: str) -> int:
    return int(timedelta(**{unit: int(number)}).total_seconds())


def test_readme_has_every_engine() -> None:
    """README's table of engines has the modules of `typed_sessions.backends` that can be a SESSION_ENGINE."""
    text = section(README, "Which engine")
    modules = (ROOT / "typed_sessions/backends").glob("*.py")
    engines = {module.stem for module in modules if "class SessionStore(base." in module.read_text()}
    assert {*re.findall(r"^``typed_sessions\.backends\.(\w+)``", text, re.M)} == engines


def test_readme_has_every_error() -> None:
    """README's table of errors has each exception of the package that can reach a project."""
    text = section(README, "Errors")
    raised = {name for name, member in vars(exceptions).items() if inspect.isclass(member) and _is_error(member)}
    hidden = {"TypedSessionError", "UnreadableRecord"}  # the base, and one that the engine takes care of
    assert [name for name in raised - hidden if f"``{name}``" not in text] == []


def _is_error(member: type) -> bool:
    return issubclass(member, exceptions.TypedSessionError)


def test_readme_quotes_the_measured_table() -> None:
    """What is between the marks in README is what is between them in `Benchmarks`."""
    quoted = re.compile(r"\.\. begin measured table\n(.*)\.\. end measured table", re.S)
    assert quoted.findall(README.read_text()) == quoted.findall(docs("benchmarks").read_text())


def test_readme_links_lead_somewhere() -> None:
    """Each relative link of README is a file of the repository."""
    targets = re.findall(r"<([^>:]+\.rst)>`__", README.read_text(encoding="utf-8"))
    assert targets
    assert [target for target in targets if not (ROOT / target).is_file()] == []


def test_package_index_can_render_the_readme() -> None:
    """README is plain reStructuredText without a complaint; a package index refuses it otherwise."""
    core = pytest.importorskip("docutils.core")
    complaints = StringIO()
    overrides = {"file_insertion_enabled": False, "raw_enabled": False, "report_level": 1, "warning_stream": complaints}
    core.publish_string(README.read_text(encoding="utf-8"), writer="html5", settings_overrides=overrides)
    assert complaints.getvalue() == ""


# Reference


def test_settings_page_has_every_key_and_default() -> None:
    """The table of settings, and the block with all of them, are what `conf` knows."""
    defaults = {name: getattr(conf.Settings(), name.lower()) for name in conf.RULES}
    text = docs("settings").read_text(encoding="utf-8")
    table = re.findall(r"^   \* - ``([A-Z_]+)``\n     - ``(.+)``$", text, re.M)
    (block,) = blocks(docs("settings"))
    shown = settings_of(block)["TYPED_SESSIONS"]
    assert {key: eval(default, {"timedelta": timedelta}) for key, default in table} == shown == defaults
    assert [key for key, _ in table] == list(shown) == list(conf.RULES)


def check_ids() -> set[str]:
    """Read from the calls in the source, so that a check which nothing here provokes is found too."""
    makers: dict[str, Callable[..., checks.CheckMessage]] = {"error": messages.error, "warning": messages.warning}
    calls = [
        node
        for module in (ROOT / "typed_sessions/checks").glob("*.py")
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in makers
    ]
    return {str(makers[ast.unparse(call.func)](ast.literal_eval(call.args[0]), "", "").id) for call in calls}


def test_every_check_is_documented() -> None:
    """`System checks` has each id that the package can give, once and in order, and no other."""
    text = docs("system-checks").read_text(encoding="utf-8")
    documented = re.findall(r"^``(typed_sessions\.[EW]\d{3})``", text, re.M)
    assert Counter(documented) == Counter(check_ids())
    assert [check[-3:] for check in documented] == sorted(check[-3:] for check in documented)


def test_mentioned_checks_exist() -> None:
    """An id that any page speaks of is one that the package can give, or Django."""
    mentioned = {found for page in PAGES for found in re.findall(r"\b[EW]\d{3}\b", page.read_text(encoding="utf-8"))}
    assert mentioned - {check[-4:] for check in check_ids()} == {"W010"}


def test_reference_has_every_public_name() -> None:
    """The reference lists what `typed_sessions`, its authentication, its decorators and its signals offer."""
    own = [name for name, signal in vars(signals).items() if isinstance(signal, Signal)]
    authentication = ["TypedSessionBackend", *(name for name in vars(auth) if _is_public(auth, name))]
    own += [name for name in vars(decorators) if name.startswith("session_") or name.endswith("_required")]
    listed = set(re.findall(r"^\.\. auto\w+:: (\w+)", docs("reference").read_text(encoding="utf-8"), re.M))
    assert [name for name in (*typed_sessions.__all__, *own, *authentication) if name not in listed] == []


def _is_public(module: ModuleType, name: str) -> bool:
    """Whether it is a function that the module makes, for projects to call; receivers are not."""
    member = vars(module)[name]
    own = inspect.isfunction(member) and member.__module__ == module.__name__
    return own and not name.startswith("_") and name not in ("begin", "end")


def test_sessions_page_has_every_option_and_property() -> None:
    """Each option of a field, each property and each field of the base class has its line."""
    options = section(docs("sessions"), "Options of a field")
    own = {*inspect.signature(typed_sessions.session_field).parameters} - {"metadata", "field_options"}
    assert [name for name in own if f"\n``{name}``\n" not in options] == []
    facts = section(docs("sessions"), "What every session knows")
    names = {name for name, member in vars(TypedSession).items() if isinstance(member, property) and name[0] != "_"}
    names |= {declared.name for declared in fields(typed_sessions.AuthUserSession)}
    assert [name for name in names if f"``{name}``" not in facts] == []


def test_every_status_is_explained() -> None:
    """Each status has its line in the table."""
    table = rows(section(docs("cookies-and-lifetimes"), "What became of a session"))
    assert [row[0].strip("`") for row in table] == [status.value for status in SessionStatus]


def test_every_code_of_a_bad_header_is_explained() -> None:
    """The table of codes has what the source gives out: what is wrong with a header, or became of its session."""
    source = inspect.getsource(headers)
    of_headers = set(re.findall(r'InvalidSessionToken\(\s*"(\w+)"', source))
    statuses = {SessionStatus.EXPIRED, SessionStatus.LOST, SessionStatus.REJECTED}
    table = rows(section(docs("headers"), "A header that opens nothing"))
    explained = [code for row in table for code in re.findall(r"``(\w+)``", row[0])]
    assert Counter(explained) == Counter({"code", *of_headers, *(word.value for word in (*EndReason, *statuses))})


def test_every_header_is_explained() -> None:
    """The table of the protocol has each header, and the page says what a response varies with."""
    table = rows(section(docs("headers"), "The protocol"))
    assert [row[0].strip("`") for row in table] == ["header", *headers.NAMES]
    assert f"``Vary: Cookie, {', '.join(headers.NAMES)}``" in words(docs("headers").read_text(encoding="utf-8"))


def test_every_verb_is_explained() -> None:
    """`Writing a store` has each verb of a store."""
    text = section(docs("writing-a-store"), "The contract")
    verbs = {name for name in vars(Store) if not name.startswith(("_", "a")) and name != "format"}
    assert [name for name in verbs if not re.search(rf"``{name}\b", text)] == []


# Sessions


@pytest.mark.django_db
def test_views_of_the_sessions_page(client: Client, project: Project, templates: Path) -> None:
    """Every way to the session is a way to the same one, and every change in it is stored."""
    project(docs("sessions"))
    (templates / "cart.html").write_text("{{ lines|length }} lines, {{ request.typed_session.total }}")
    line = sys.modules["shop.sessions"].CartLine("cup", 2, Decimal("1.50"))
    client.get("/plain/")
    assert client.get("/checked_by_type/").json() == {"currency": "GBP", "total": "0.00"}
    client.get("/annotated/")
    store: Any = SessionStore(client.cookies["ss-id"].value)
    assert store.typed_session.currency == "USD"
    store.typed_session.cart.append(line)
    store.save()
    client.get("/engrave/cup/Ada/")
    client.get("/engrave/cup/Grace/")
    assert session_of(client).cart[0].options == {"engraving": ["Ada", "Grace"]}
    assert client.get("/Cart/").content == b"1 lines, 3.00"


@pytest.mark.django_db
def test_session_can_be_replaced(client: Client, project: Project) -> None:
    """An object that is assigned to request.typed_session is what is stored."""
    project(docs("sessions"))
    client.get("/import_list/?sku=cup")
    client.get("/in_pounds/")
    assert (session_of(client).currency, len(session_of(client).cart)) == ("GBP", 1)
    client.get("/start_over/")
    assert (session_of(client).currency, session_of(client).cart) == ("GBP", [])


@pytest.mark.django_db
def test_view_can_answer_to_what_is_in_the_way_of_saving(client: Client, project: Project) -> None:
    """A cart beyond MAX_BYTES is answered by the view, and an empty one is stored."""
    project(docs("sessions"))
    assert client.get("/import_list/?sku=a&sku=b").content == b"2"
    assert client.get("/import_list/", {"sku": "x" * 70_000}).status_code == 413
    assert session_of(client).cart == []


@pytest.mark.django_db
def test_bag_and_fields_are_kept_side_by_side(client: Client, project: Project) -> None:
    """A change inside a value of the bag is stored, and leaves the fields alone."""
    project(docs("sessions"))
    client.get("/plain/")
    client.get("/remember_tab/")
    client.get("/remember_tab/")
    assert client.get("/tab/").json() == {"tab": "offers", "steps": ["offers", "offers"]}
    assert session_of(client).currency == "GBP"


@pytest.mark.django_db
def test_explicit_saving(client: Client, project: Project, settings: Settings) -> None:
    """With SAVE="explicit", a change is kept if, and only if, the view saves it."""
    project(docs("sessions"))
    settings.TYPED_SESSIONS = settings_of(settings_blocks(docs("sessions"))[0])["TYPED_SESSIONS"]
    client.get("/keep_currency/USD/")
    assert client.get("/try_currency/GBP/").content == b"GBP"
    assert session_of(client).currency == "USD"


async def test_async_view(db: None, async_client: AsyncClient, project: Project) -> None:
    """The async view changes the session of the next request."""
    project(docs("sessions"))
    assert (await async_client.get("/asynchronous/")).json() == {"visited": ["asynchronous"]}
    assert await StoredSession.objects.filter(data__contains="asynchronous").acount() == 1


# Cookies, signing in


@pytest.mark.parametrize("page", [README, docs("cookies-and-lifetimes")], ids=lambda page: page.name)
def test_s46_names_with_a_prefix(page: Path, client: Client, project: Project, settings: Settings, ada: User) -> None:
    """With the settings for HTTPS, all three cookies are ones that a browser takes under a `__Host-` name."""
    project(docs("signing-in"))
    (block,) = [block for block in settings_blocks(page) if "__Host-" in block.text]
    with override_settings(**settings_of(block)):
        client.post("/sign_in_by_api/", {**ADA, "remember": "yes"}, secure=True)
        ours = [cookie for name, cookie in client.cookies.items() if name.startswith("__Host-ss-")]
        assert [cookie["path"] for cookie in ours if cookie["secure"] and not cookie["domain"]] == ["/"] * 3
        client.post("/sign_out/", secure=True)
    ours = [cookie for name, cookie in client.cookies.items() if name.startswith("__Host-ss-")]
    assert [cookie["max-age"] for cookie in ours if cookie["secure"]] == [0] * 3


@pytest.mark.django_db
def test_view_that_tells_what_became_of_a_session(
    client: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A visitor whose session has expired, was ended or was lost is told so."""
    project(docs("cookies-and-lifetimes"))
    begun = clock.now()
    monkeypatch.setattr(clock, "now", lambda: begun)
    ended, lost, live = stored(), stored(), stored()
    SessionStore(ended.session_key).delete()
    StoredSession.objects.filter(pk=lost.typed_session.id).delete()
    assert client.get("/welcome/").content == b"Hello."
    for store, greeting in ((live, b"Hello."), (ended, b"You have signed out"), (lost, b"We have lost")):
        visit(client, store)
        assert client.get("/welcome/").content.startswith(greeting)
    monkeypatch.setattr(clock, "now", lambda: begun + 15 * 24 * 3600)
    visit(client, live)
    assert client.get("/welcome/").content.startswith(b"You were away")


def test_sign_in_by_form(client: Client, project: Project, templates: Path, ada: User) -> None:
    """The right password makes a permanent session, filled from user and visitor; a wrong one changes nothing."""
    project(docs("signing-in"))
    (templates / "registration").mkdir()
    (templates / "registration/login.html").write_text("{{ form.errors }}")
    store = stored()
    store.typed_session.cart, store.typed_session.landing_page = ["cup"], "/spring/"
    store.save()
    visit(client, store)
    assert client.post("/sign-in/", {**ADA, "password": "wrong", "remember": "on"}).status_code == 200
    assert session_of(client).id == store.typed_session.id
    assert client.post("/sign-in/?next=/", {**ADA, "remember": "on"}).status_code == 302
    session = session_of(client)
    assert (session.mode, session.is_authenticated) == (SessionMode.PERM, True)
    assert (session.cart, session.landing_page, session.greeting) == (["cup"], "", "Welcome back, Ada Lovelace")
    assert SessionStore(store.session_key).typed_session.end_reason is EndReason.ROTATED


def test_sign_in_by_credentials_and_sign_out(client: Client, project: Project, ada: User) -> None:
    """`remember` among the credentials chooses the mode, and each sign-in ends what was there before."""
    project(docs("signing-in"))
    assert client.post("/sign_in_by_api/", {**ADA, "password": "wrong"}).status_code == 403
    assert "ss-id" not in client.cookies
    client.post("/sign_in_by_api/", {**ADA, "remember": "yes"})
    remembered = client.cookies["ss-pid"].value
    answer = client.post("/sign_in_by_api/", ADA)
    assert answer.content.decode() == session_of(client).id
    assert session_of(client).mode is SessionMode.TEMP
    assert SessionStore(remembered).typed_session.end_reason is EndReason.ROTATED
    token = client.cookies["ss-id"].value
    client.post("/sign_out/")
    assert SessionStore(token).typed_session.end_reason is EndReason.LOGGED_OUT
    assert {client.cookies[name]["max-age"] for name in ("ss-id", "ss-pid", "ss-opt")} == {0}


def test_hooks_and_receivers(client: Client, project: Project, ada: User, caplog: pytest.LogCaptureFixture) -> None:
    """What a hook sets is stored, and the receivers tell of sign-in and sign-out."""
    project(docs("signing-in"))
    importlib.import_module("shop.receivers")
    with caplog.at_level("INFO", logger="shop.receivers"):
        client.post("/sign_in_by_api/?campaign=spring", ADA)
        session = session_of(client)
        client.post("/sign_out/")
    assert session.campaign == "spring"
    assert caplog.messages == [f"ada signed in, session {session.id}", "ada left 0 items behind"]


def test_order_of_events(
    client: Client, project: Project, ada: User, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """Hooks, signals and stored records come in the order in which `Signing in` has them."""
    project(docs("signing-in"))
    happened: list[str] = []

    def note(name: str, act: Callable[..., Any] = lambda *args, **kwargs: None) -> Callable[..., Any]:
        def noting(*args: Any, **kwargs: Any) -> Any:
            happened.append(name)
            return act(*args, **kwargs)

        return noting

    events, sessions = importlib.import_module("shop.events"), importlib.import_module("shop.sessions")
    settings.TYPED_SESSIONS = settings_of(_settings_with("AUTH_EVENTS", docs("signing-in")))["TYPED_SESSIONS"]
    for name in ("on_created", "validate", "on_authenticated", "on_logout"):
        monkeypatch.setattr(sessions.ShopSession, name, note(f"hook {name}"))
        monkeypatch.setattr(events.Audit, name, note(f"event {name}"))
        if name != "validate":
            getattr(signals, name).connect(note(f"signal {name}"), weak=False)
    user_logged_in.connect(note("user_logged_in"), weak=False)
    user_logged_in.receivers.insert(0, user_logged_in.receivers.pop())  # as an app that is imported early has it
    user_logged_in.receivers.sort(key=lambda entry: "typed_sessions.login" not in str(entry[0]))
    user_logged_in.sender_receivers_cache.clear()
    for verb in ("create", "replace", "end"):
        monkeypatch.setattr(database.DatabaseStore, verb, note(verb, getattr(database.DatabaseStore, verb)))

    def told(name: str, signal: str = "signal") -> list[str]:
        return [f"{teller} {name}" for teller in ("hook", "event", signal)][: 2 if name == "validate" else 3]

    def stepped() -> list[str]:
        steps, happened[:] = happened[:], []
        return steps

    client.post("/sign_in_by_api/", {**ADA, "remember": "yes"})
    announced = [*told("validate"), *told("on_authenticated"), "user_logged_in"]
    created = told("on_created")
    assert stepped() == [*announced, *created[:2], "create", created[2]]
    visit(client, stored(kept=2))  # in the other cookie
    happened.clear()
    client.post("/sign_in_by_api/", ADA)
    assert stepped() == [*announced, "end", "replace"]
    client.post("/sign_out/")
    assert stepped()[:4] == [*told("on_logout"), "end"]


def _settings_with(name: str, page: Path) -> Block:
    """The one block of settings that mentions ``name``."""
    (block,) = [block for block in settings_blocks(page) if name in block.text]
    return block


def test_veto(client: Client, project: Project, templates: Path, ada: User, settings: Settings) -> None:
    """Whom the session class or the events class has something against is told so by the form, and not signed in."""
    project(docs("signing-in"))
    (templates / "registration").mkdir()
    (templates / "registration/login.html").write_text("{{ form.errors }}")
    settings.TYPED_SESSIONS = settings_of(_settings_with("AUTH_EVENTS", docs("signing-in")))["TYPED_SESSIONS"]
    ada.groups.add(Group.objects.create(name="suspended"))
    assert b"Your account is suspended." in client.post("/sign-in/", ADA).content
    assert client.post("/sign_in_by_api/", ADA).status_code == 403
    ada.groups.clear()
    User.objects.update(is_superuser=True)
    assert b"Not from here." in client.post("/sign-in/", ADA, REMOTE_ADDR="192.0.2.7").content
    assert "ss-id" not in client.cookies
    assert client.post("/sign-in/?next=/", ADA).status_code == 302


def test_registration(client: Client, project: Project, db: None) -> None:
    """The view makes an account, tells of it, and signs it in; what the hook has set is there."""
    project(docs("signing-in"))
    told: list[str] = []

    def listen(user: User, **kwargs: Any) -> None:
        told.append(user.username)

    signals.on_registered.connect(listen)
    assert client.post("/register/", {"username": "ada"}).status_code == 400
    form = {"username": "ada", "password1": "an-uncommon-one", "password2": "an-uncommon-one"}
    assert client.post("/register/", form).content == b"Welcome, ada"
    assert session_of(client).user_name == "ada"


def test_password_once_more(
    client: Client, project: Project, ada: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guarded view sends visitors to sign in, and users to confirm their password, and then does its work."""
    project(docs("signing-in"))
    settings.LOGIN_URL = settings_of(_settings_with("LOGIN_URL", docs("signing-in")))["LOGIN_URL"]
    mail = {"email": "ada@example.com"}
    assert client.post("/email/", mail)["Location"] == "/sign-in/?next=/email/"
    client.post("/sign_in_by_api/", ADA)
    assert client.post("/email/", mail).content == b"ada@example.com"
    later = clock.now() + 301
    monkeypatch.setattr(clock, "now", lambda: later)
    sent_to = client.post("/email/", mail)["Location"]
    assert sent_to == "/confirm-password/?next=/email/"
    assert b"Confirm your password" in client.get(sent_to).content
    assert client.post(sent_to, {"password": "wrong"}).status_code == 200
    assert client.post(sent_to, {"password": ADA["password"]})["Location"] == "/email/"
    assert client.post("/email/", mail).status_code == 200


def test_devices(client: Client, project: Project, ada: User) -> None:
    """A user sees where they are signed in, and signs out everywhere else."""
    project(docs("signing-in"))
    other = Client(headers={"user-agent": "Phone/1"})
    for browser in (other, client):
        browser.post("/sign_in_by_api/", ADA)
    assert sorted(client.get("/devices/").json()["devices"]) == [["", True], ["Phone/1", False]]
    assert client.post("/sign_out_elsewhere/").content == b"1"
    assert client.get("/devices/").json() == {"devices": [["", True]]}
    assert SessionStore(other.cookies["ss-id"].value).typed_session.end_reason is EndReason.ENDED_BY_USER


def test_account_that_changes(client: Client, project: Project, ada: User) -> None:
    """What the page says of a new password, a deactivated account, and of `request.user` beside the typed session."""
    project(docs("signing-in"))
    changes: list[tuple[dict[str, Any], EndReason]] = [
        ({"password": "x"}, EndReason.PASSWORD_CHANGED),
        ({"is_active": False}, EndReason.USER_INACTIVE),
    ]
    for change, reason in changes:
        client.post("/sign_in_by_api/", ADA)
        token = client.cookies["ss-id"].value
        User.objects.update(**change)
        client.get("/devices/")
        assert SessionStore(token).typed_session.end_reason is reason
        ada.save()


def test_failing_hook_undoes_the_sign_in(
    client: Client, project: Project, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 500 at sign-in, by a hook or later, stores nothing, sets no cookie of ours, and leaves a visitor's session."""
    views = project(docs("signing-in"))
    client.raise_request_exception = False

    def fail(*args: Any) -> None:
        raise ZeroDivisionError

    session_class = importlib.import_module("shop.sessions").ShopSession
    for place, name in ((session_class, "on_authenticated"), (views, "HttpResponse")):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, fail)
            answer = client.post("/sign_in_by_api/", ADA)
            assert (answer.status_code, {"ss-id", "ss-pid", "ss-opt"} & {*answer.cookies}) == (500, set())
            assert not StoredSession.objects.exists()
            visitor = Client(raise_request_exception=False)
            visit(visitor, stored(kept=3))
            before = list(StoredSession.objects.values())
            assert visitor.post("/sign_in_by_api/", ADA).status_code == 500
            assert list(StoredSession.objects.values()) == before
            StoredSession.objects.all().delete()


# Headers, snapshots


def test_sessions_by_header(client: Client, project: Project, settings: Settings, ada: User) -> None:
    """The steps of the protocol, and the answer to a token that is over, are as `Sessions by header` has them."""
    project(docs("signing-in"))
    settings.TYPED_SESSIONS = {
        **settings_of(settings_blocks(docs("headers"))[0])["TYPED_SESSIONS"],
        "HEADERS": ["/sign_in_by_api/", "/sign_out/", "/email/"],
    }

    def told(answer: Any) -> dict[str, str]:
        return {name: value for name, value in answer.items() if name.lower().startswith("x-ss-")}

    begun = client.post("/sign_in_by_api/", {**ADA, "remember": "yes"}, headers={"X-ss-opt": "temp"})
    token = told(begun)
    assert token.keys() == {"X-ss-pid", "X-ss-opt"}
    assert (token["X-ss-opt"], begun["Cache-Control"]) == ("perm", "private, no-store")
    changed = client.post("/email/", {"email": "ada@example.com"}, headers=token)
    assert (changed.content, told(changed)) == (b"ada@example.com", {})
    assert client.post("/email/", headers={"X-ss-opt": "temp"}).status_code == 401
    client.post("/sign_out/", headers=token)
    answer = client.post("/email/", headers=token)
    (shown,) = blocks(docs("headers"), "json")
    assert (answer.status_code, answer.json()) == (401, json.loads(shown.text))
    assert f"``WWW-Authenticate: {answer['WWW-Authenticate']}``" in words(docs("headers").read_text(encoding="utf-8"))
    assert not client.cookies


def test_id_for_every_browser(client: Client, project: Project, settings: Settings, db: None) -> None:
    """Who has agreed is recognised, and who has not is given no cookie; who changes their mind loses it."""
    project(docs("cookies-and-lifetimes"))
    settings.TYPED_SESSIONS = settings_of(_settings_with("CONSENT", docs("cookies-and-lifetimes")))["TYPED_SESSIONS"]
    client.get("/welcome/")
    assert not client.cookies
    client.cookies["cookies"] = "all"
    client.get("/welcome/")
    assert client.cookies["ss-pid"].value
    client.cookies["cookies"] = "few"
    client.get("/welcome/")
    assert client.cookies["ss-pid"].value == ""


def test_what_a_snapshot_has(client: Client, project: Project, settings: Settings, ada: User) -> None:
    """The page names each part of a user that is kept, and what is not."""
    project(docs("signing-in"))
    settings.TYPED_SESSIONS = settings_of(settings_blocks(docs("user-snapshot"))[0])["TYPED_SESSIONS"]
    client.post("/sign_in_by_api/", ADA)
    client.get("/devices/")
    kept = SessionStore(client.cookies["ss-id"].value)[snapshots.KEY]
    assert kept["fields"].keys() == {
        "id", "username", "email", "first_name", "last_name", "is_active", "is_staff", "is_superuser",
    }  # fmt: skip
    for method in snapshots._SAFE_METHODS:
        assert f"``{method}``" in section(docs("user-snapshot"), "A user without SQL")


# Releases of a class


@pytest.fixture
def release(project: Project, settings: Settings, db: None) -> Callable[[int], Any]:
    """`release(n)` opens the one session of the test with release n of the page's class."""
    project(docs("changing-your-class"))
    key = stored().session_key

    def open_(number: int) -> Any:
        importlib.import_module(f"shop.release_{number}")
        (name,) = [name for name in session_classes() if name.startswith(f"shop.release_{number}.")]
        settings.TYPED_SESSIONS = {"SESSION_CLASS": name}
        return SessionStore(key)

    return open_


def change(store: Any, **values: object) -> None:
    for name, value in values.items():
        assert hasattr(store.typed_session, name)
        setattr(store.typed_session, name, value)
    store.save()


def test_added_and_removed_field(release: Callable[[int], Any]) -> None:
    """A new field has its default, and a removed one is there again for the release that knows it."""
    change(release(1), cart=["cup"], coupon="TEA", note="for you")
    session = release(2).typed_session
    assert (session.cart, session.currency, session.note) == (["cup"], "EUR", "for you")
    change(release(2), currency="GBP")
    assert release(1).typed_session.coupon == "TEA"
    change(release(1), coupon="MILK")
    assert release(2).typed_session.currency == "GBP"


def test_renamed_field(release: Callable[[int], Any]) -> None:
    """Both releases see what either has written, an empty value too."""
    change(release(2), note="for you")
    assert release(3).typed_session.gift_note == "for you"
    change(release(3), gift_note="for them")
    assert release(2).typed_session.note == "for them"
    change(release(2), note="")
    assert release(3).typed_session.gift_note == ""


def test_retyped_field(release: Callable[[int], Any], caplog: pytest.LogCaptureFixture) -> None:
    """The new release upgrades; the former one reads its default, says so, and leaves what is stored as it is."""
    change(release(3), cart=["cup", "pot"])
    assert [line.sku for line in release(4).typed_session.cart] == ["cup", "pot"]
    upgraded = release(4)
    upgraded.typed_session.cart[0].quantity = 2
    upgraded.save()
    assert not caplog.messages
    former = release(3)
    assert former.typed_session.cart == []
    assert "ShopSession.cart" in caplog.text
    change(former, gift_note="for you")
    session = release(4).typed_session
    assert ([line.quantity for line in session.cart], session.gift_note) == ([2, 1], "for you")


def test_renamed_class(release: Callable[[int], Any], settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """A class that says its former name reads all fields; one that does not reads defaults, and is told the remedy."""
    change(release(4), currency="USD")
    kept = release(5)
    assert kept.typed_session.currency == "USD"
    assert not caplog.messages
    module = sys.modules["shop.release_5"]
    vars(module)["Forgetful"] = dataclass(type("Forgetful", (module.StoreSession,), {"schema_name": ""}))
    settings.TYPED_SESSIONS = {"SESSION_CLASS": "shop.release_5.Forgetful"}
    forgetful: Any = SessionStore(kept.session_key)
    assert forgetful.typed_session.currency == "EUR"
    assert "schema_name = 'ShopSession'" in caplog.text
    change(forgetful, currency="GBP")
    assert release(4).typed_session.currency == "USD"


# Stores


@pytest.mark.django_db
def test_migrating_key_by_key(client: Client, project: Project) -> None:
    """The view as it was, and the typed one, both count, in one record."""
    project(docs("migrating"))
    for view in ("add", "add_typed"):
        assert client.get(f"/{view}/cup/").json() == {"cup": 1}
        assert client.get(f"/{view}/cup/").json() == {"cup": 2}
    assert StoredSession.objects.count() == 1


@pytest.mark.parametrize("alias", ["cluster", "sentinel"])
def test_cluster_and_sentinel_settings(
    alias: str, project: Project, use_cache: Callable[[str], str], settings: Settings, client: Client
) -> None:
    """The settings shown for Sentinel and for Cluster, with addresses of servers that run, store sessions there."""
    project(README)
    use_cache(alias)
    running = django_settings.CACHES[alias]
    said = {"cluster": "ClusterConnectionFactory", "sentinel": "SENTINELS"}[alias]
    (block,) = [block for block in settings_blocks(docs("storing")) if said in block.text]
    documented = settings_of(block)
    cache = documented["CACHES"]["default"]
    cache["LOCATION"] = running["LOCATION"]
    cache["OPTIONS"].update({name: running["OPTIONS"][name] for name in ("SENTINELS",) if name in running["OPTIONS"]})
    settings.SESSION_CACHE_ALIAS = "default"
    with override_settings(**documented):
        client.get("/add_to_cart/cup/")
        assert client.get("/cart/").json()["cart"] == [{"sku": "cup", "quantity": 1}]


def test_s76_least_privileged_user_of_redis(
    project: Project, valkey: RedisServer, settings: Settings, client: Client
) -> None:
    """A user of the server with the keys that `Storing sessions` names, and without those commands, is enough."""
    text = section(docs("storing"), "Redis and Valkey: ``redis``")
    (keys,) = re.findall(r"``(~urn:\S+)``", text)
    forbidden = {*re.findall(r"\b(KEYS|FLUSHALL|CONFIG)\b", text)}
    assert len(forbidden) == 3
    valkey.run("ACL SETUSER", "shop", "on", ">secret", keys, "+@all", *(f"-{name}" for name in forbidden))
    location = valkey.url.replace("unix://", "unix://shop:secret@")
    project(README)
    settings.CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": location}}
    settings.SESSION_ENGINE = "typed_sessions.backends.redis"
    client.get("/add_to_cart/cup/")
    assert client.get("/cart/").json()["cart"] == [{"sku": "cup", "quantity": 1}]
    RedisSessionStore.clear_expired()
    valkey.run("ACL DELUSER", "shop")


def test_store_of_ones_own_passes_the_contract(started: Path) -> None:
    """The store and the engine of `Writing a store`, in a new project, pass the tests that the page shows."""
    page = docs("writing-a-store")
    write(started, files_of(page))
    add_settings(started, settings_blocks(page)[0].text)
    printed = run("python -m pytest -q --tb=line -p no:cacheprovider --ds=shop.settings shop/test_memory.py", started)
    assert re.search(r"^\d{2,} passed in", printed, re.M)


@pytest.mark.parametrize(("on_limit", "reasons"), [("end_oldest", ["over_limit", "", ""]), ("refuse", ["", "", None])])
def test_store_of_ones_own_keeps_to_the_limit(
    on_limit: str, reasons: list[str | None], project: Project, settings: Settings, ada: User
) -> None:
    """With the page's store too, a user has as many sessions as are allowed, whatever is done about the next one."""
    project(docs("writing-a-store"))
    settings.SESSION_ENGINE = "shop.memory_engine"
    settings.TYPED_SESSIONS = {"MAX_SESSIONS_PER_USER": 2, "ON_LIMIT": on_limit}
    ends: list[str | None] = []
    tokens = []
    for _ in reasons:
        client = Client()
        try:
            client.force_login(ada)
        except exceptions.SignInRefused:
            ends.append(None)
        else:
            tokens.append(client.cookies["ss-id"].value)
    engine = importlib.import_module("shop.memory_engine").SessionStore
    told = [engine(token).typed_session.end_reason for token in tokens]
    assert [reason.value if reason else "" for reason in told] + ends == reasons
