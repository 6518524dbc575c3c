"""README.rst and docs/: their Python runs, and what they say of the package is what the package does.

A Python block says on its first line which file it is, as a comment. The blocks of one page make up the project ``shop``, on
top of README's; blocks of one file are put together in their order. Blocks of ``shop/settings.py`` are alternatives.
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
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import cache
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import requests
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.core import checks
from django.core.cache import caches
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.urls import URLPattern, path

import typed_sessions
from tests.servers.process import Server
from tests.servers.redis import RedisServer, free_port
from typed_sessions import auth, conf, exceptions, signals, tokens
from typed_sessions.backends.db import SessionStore
from typed_sessions.checks import messages
from typed_sessions.formats import JSON, MSGPACK
from typed_sessions.middleware import RETRY_AFTER
from typed_sessions.session import TypedSession
from typed_sessions.stores import async_redis, cached_database, database, record, wire
from typed_sessions.stores.record import Record
from typed_sessions.transports import BROWSER_LIMIT
from typed_sessions.working_copy import WorkingCopy

if TYPE_CHECKING:
    from pytest_django import Settings

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.rst"
PAGES = (README, *sorted((ROOT / "docs").glob("*.rst")))
WITH_PYTHON = [page for page in PAGES if ".. code-block:: python\n" in page.read_text(encoding="utf-8")]


class Block(NamedTuple):
    """A block of a page. ``file`` is what its first line says, with what follows a comma as ``release``."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def file(self) -> str:
        return self._header[0]

    @property
    def release(self) -> str:
        return self._header[1]

    @property
    def _header(self) -> tuple[str, str]:
        found = re.match(r"# (shop/\w+\.py)(?:, release (\d+))?\n", self.text)
        return (found[1], found[2] or "") if found else ("", "")

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


_DIRECTIVE = re.compile(
    r"^(?P<indent> *)\.\. code-block:: (?P<language>\w+)\n\n(?P<text>(?:(?P=indent)    ? ?\S.*\n|(?P=indent)     .*\n|\n)+)",
    re.M,
)
_LITERAL = re.compile(r"::\n\n((?:    .*\n|\n)+)")


@cache
def blocks(page: Path, language: str = "python") -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, language, textwrap.dedent(found["text"]).strip() + "\n")
        for found in _DIRECTIVE.finditer(text)
        if found["language"] == language
    ]


def section(page: Path, title: str) -> str:
    """The text under a heading, as far as the next one of the same kind."""
    text = page.read_text(encoding="utf-8")
    under = re.search(rf"^{re.escape(title)}\n([=-])\1+\n", text, re.M)
    assert under, f"{page.name} has no heading {title!r}"
    end = re.search(rf"^.+\n{under[1]}{{4,}}\n", text[under.end() :], re.M)
    return text[under.end() :][: end.start() if end else None]


def settings_of(block: Block, **given: Any) -> dict[str, Any]:
    """What a block of settings sets, on top of ``given``."""
    values = {**given}
    exec(compile(block.text, str(block), "exec"), values)
    return {name: value for name, value in values.items() if name.isupper()}


# The project of a page


@pytest.fixture
def project(tmp_path: Path, settings: Settings) -> Iterator[Callable[[Path], ModuleType]]:
    """`project(page)` puts README's project and the page's blocks where they can be imported, and gives its views."""
    receivers = {signal: [*signal.receivers] for signal in (*_signals(), user_logged_in, user_logged_out)}
    sys.path.insert(0, str(tmp_path))
    settings.TYPED_SESSIONS = {"SESSION_CLASS": "shop.sessions.ShopSession"}
    settings.SESSION_ENGINE = "typed_sessions.backends.db"

    def make(page: Path) -> ModuleType:
        write(tmp_path, page)
        views = importlib.import_module("shop.views")
        settings.ROOT_URLCONF = urlconf(views)
        return views

    yield make
    sys.path.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.split(".")[0] == "shop"]:
        del sys.modules[name]
    for signal, connected in receivers.items():
        signal.receivers = connected
        signal.sender_receivers_cache.clear()


def _signals() -> list[Any]:
    return [getattr(signals, name) for name in dir(signals) if name.startswith("on_")]


def write(directory: Path, page: Path) -> None:
    (directory / "shop").mkdir()
    (directory / "shop/__init__.py").touch()
    files = {**_files(README), **_files(page)}
    if "shop/views.py" in _files(page) and page != README:
        del files["shop/urls.py"]  # of README's views
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")


def _files(page: Path) -> dict[str, str]:
    files: dict[str, str] = {}
    for block in blocks(page):
        name = f"shop/release_{block.release}.py" if block.release else block.file
        if name != "shop/settings.py":
            files[name] = files.get(name, "") + block.text
    return files


def urlconf(views: ModuleType) -> ModuleType:
    """An address for each view, by its name, or by that of its class; arguments are parts of the path."""
    module = ModuleType("shop.test_urls")
    module.urlpatterns = list(_patterns(views))  # type: ignore[attr-defined]  # what Django looks for
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


def docs(name: str) -> Path:
    return ROOT / "docs" / f"{name}.rst"


def session_of(client: Client) -> Any:
    """What is stored for a client's browser."""
    names = {"perm": conf.settings().perm_cookie_name}
    option = client.cookies.get(conf.settings().option_cookie_name)
    name = names.get(option.value if option else "", django_settings.SESSION_COOKIE_NAME)
    return SessionStore(client.cookies[name].value).typed_session


# Every page


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_every_python_block_says_which_file_it_is(page: Path) -> None:
    """No Python block escapes the tests for want of a first line that names its file."""
    assert [str(block) for block in blocks(page) if not block.file] == []
    written = page.read_text(encoding="utf-8").count(".. code-block:: python\n")
    assert len(blocks(page)) == written


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_every_module_of_a_page_can_be_imported(
    page: Path, project: Callable[[Path], ModuleType], settings: Settings, tmp_path: Path
) -> None:
    """The files that a page shows are modules of one project, with a session class that passes the checks."""
    project(page)
    for module in sorted((tmp_path / "shop").glob("*.py")):
        importlib.import_module(f"shop.{module.stem}")
    for session_class in _session_classes():
        settings.TYPED_SESSIONS = {"SESSION_CLASS": session_class}
        assert checks.run_checks(tags=["typed_sessions"]) == []


def _session_classes() -> list[str]:
    return [
        f"{name}.{member.__name__}"
        for name, module in sys.modules.items()
        if name.startswith("shop.")
        for member in vars(module).values()
        if isinstance(member, type) and issubclass(member, TypedSession) and member.__module__ == name
    ]


SETTINGS = [block for page in PAGES for block in blocks(page) if block.file == "shop/settings.py"]
EXPECTED = {
    'typed_sessions.backends.cache"': ["typed_sessions.W038"],
    '"typed_sessions.AuthUserSession"': ["typed_sessions.W023"],
}
"""Messages that a block of settings is meant to bring, by words in it."""


@pytest.mark.parametrize("block", SETTINGS, ids=str)
def test_documented_settings_pass_the_checks(
    block: Block, project: Callable[[Path], ModuleType], settings: Settings
) -> None:
    """Each block of settings, put at the end of those of a project, gives no message but those that its page tells of."""
    project(block.page)
    given = {name: getattr(settings, name) for name in ("INSTALLED_APPS", "MIDDLEWARE")}
    given["INSTALLED_APPS"] = [app for app in given["INSTALLED_APPS"] if app != "typed_sessions"]
    found = settings_of(block, **given)
    found["INSTALLED_APPS"] = settings.INSTALLED_APPS
    with override_settings(DEBUG=False, **found):
        told = [message.id for message in checks.run_checks(tags=["typed_sessions"])]
        assert told == next((EXPECTED[words] for words in EXPECTED if words in block.text), [])
        assert conf.problems(found.get("TYPED_SESSIONS", {})) == {}


SHELL = [page for page in PAGES if blocks(page, "pycon")]


@pytest.mark.django_db
@pytest.mark.parametrize("page", SHELL, ids=lambda page: page.name)
def test_shell_examples_print_what_they_show(page: Path, project: Callable[[Path], ModuleType]) -> None:
    """What a page shows of a Python shell is what the shell prints."""
    project(page)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL & 0)
    report = StringIO()
    for block in blocks(page, "pycon"):
        example = doctest.DocTestParser().get_doctest(block.text, {}, str(block), str(page), block.line)
        runner.run(example, out=report.write)
    assert runner.failures == 0, report.getvalue()
    assert runner.tries


# README: the quick start


class Shop(Server):
    """README's project, served by its own ``manage.py``."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory, self.port = directory, free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        manage = str(self.directory / "manage.py")
        return [
            "env",
            "-u",
            "DJANGO_SETTINGS_MODULE",
            sys.executable,
            manage,
            "runserver",
            "--noreload",
            str(self.port),
        ]

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/no-such-page", timeout=5).status_code == 404
        except requests.ConnectionError:
            return False


def quick_start() -> list[str]:
    """The lines of a terminal in README's quick start."""
    found = _LITERAL.findall(section(README, "Quick start"))
    return [line.strip() for block in found for line in block.splitlines() if line.strip()]


def run(line: str, directory: Path) -> str:
    program, *arguments = line.split()
    programs = {"django-admin": [sys.executable, "-m", "django"], "python": [sys.executable]}
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [*programs[program], *arguments], cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def started(tmp_path: Path) -> Path:
    """A new project, with README's files in it and README's first block of settings at the end of its own."""
    begin = quick_start().index("django-admin startproject shop")
    run(quick_start()[begin], tmp_path)
    directory = tmp_path / quick_start()[begin + 1].removeprefix("cd ")
    for name, text in _files(README).items():
        (directory / name).write_text(text, encoding="utf-8")
    add_settings(directory, blocks_of_settings(README)[0])
    return directory


def blocks_of_settings(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.file == "shop/settings.py"]


def add_settings(directory: Path, block: Block, **replaced: str) -> None:
    text = block.text
    for old, new in replaced.items():
        text = text.replace(block_words[old], new)
    with (directory / "shop/settings.py").open("a", encoding="utf-8") as file:
        file.write(f"\n{text}")


block_words = {"redis": "redis://127.0.0.1:6379/0"}
"""What stands in README for an address of the reader's own."""


def test_quick_start_works_as_it_is_written(started: Path) -> None:
    """README's files and commands, typed into a new project, serve the page that README shows."""
    assert quick_start()[0] == "pip install django-typed-sessions"
    migrate, check, runserver = quick_start()[-3:]
    assert "Applying typed_sessions.0001_initial... OK" in run(migrate, started)
    assert run(check, started) == "System check identified no issues (0 silenced).\n"
    assert runserver == "python manage.py runserver"
    (page,) = re.findall(r"http://127\.0\.0\.1:8000(/add/\S*)", section(README, "Quick start"))
    (shown,) = blocks(README, "json")
    with Shop(started) as shop, requests.Session() as browser:
        answer = browser.get(shop.url + page, timeout=10)
        assert answer.url == f"{shop.url}/"
        assert answer.text == shown.text.strip()
        assert set(browser.cookies.keys()) == {"ss-id"}


def test_quick_start_on_redis_stores_what_is_shown(started: Path, valkey: RedisServer) -> None:
    """README's project on Redis leaves a record like the one that README shows, under the key it shows."""
    add_settings(started, blocks_of_settings(README)[1], redis=valkey.url)
    run("python manage.py migrate", started)
    with Shop(started) as shop:
        headers = {"User-Agent": "curl/8.5.0"}
        assert requests.get(f"{shop.url}/add/teapot/", headers=headers, timeout=10).status_code == 200
    newest, stored = shown_in_redis_cli()
    client = valkey.client()
    (session_id,) = client.zrevrange(newest, 0, 0)
    value = client.get(typed_sessions.urn(session_id.decode()))
    shown = json.loads(stored)
    assert _without_what_varies(json.loads(value)) == _without_what_varies(shown)
    assert list(json.loads(value)) == list(shown)


def shown_in_redis_cli() -> tuple[str, str]:
    """The key of the index and the record, as README shows them; the session is the same throughout."""
    (console,) = blocks(README, "console")
    index, session_id, get, *value = console.text.splitlines()
    assert get == f"$ redis-cli --raw GET {typed_sessions.urn(session_id)}"
    assert wire.decode(session_id, _joined(value).encode())
    return index.removeprefix("$ redis-cli --raw ZREVRANGE ").removesuffix(" 0 0"), _joined(value)


def _joined(lines: list[str]) -> str:
    return "".join(line.strip() for line in lines)


def _without_what_varies(record: dict[str, Any]) -> dict[str, Any]:
    return {name: type(value) if name in {"id", "nonce", *CLOCKS} else value for name, value in record.items()}


CLOCKS = ("seen", "expires", "created", "modified")


def test_storing_shows_the_same_record_as_the_readme() -> None:
    """The record in `Storing sessions` is README's, and its table has each part of one."""
    (shown,) = blocks(docs("storing"), "json")
    assert _joined(shown.text.splitlines()) == shown_in_redis_cli()[1]
    parts = section(docs("storing"), "The record")
    assert [name for name in Record.__struct_fields__ if f"``{name}``" not in parts] == []


def test_demo_prints_what_the_readme_shows(tmp_path: Path) -> None:
    """`manage.py demo` prints the lines that README shows, but for the place of the database."""
    (shown,) = blocks(README, "text")
    environment = {**os.environ, "TYPED_SESSIONS_DEMO_DIR": str(tmp_path / ".demo"), "NO_COLOR": "1"}
    del environment["DJANGO_SETTINGS_MODULE"]
    command = [sys.executable, str(ROOT / "manage.py"), "demo", "--no-serve"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.replace(f"{tmp_path}/", "").split() == shown.text.split()


# README: tables


def rows(text: str) -> list[list[str]]:
    """The cells of the simple tables in ``text``, without the lines that go on in the next row."""
    found: list[list[str]] = []
    starts: list[int] = []
    for line in text.splitlines():
        if re.fullmatch(r" *=+( +=+)+", line):
            starts = [mark.start() for mark in re.finditer(r"=+", line)]
        elif starts and line[starts[0] : starts[0] + 1].strip():
            found.append([line[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)])
        elif not line.strip():
            starts = []
    return found


def test_readme_lifetimes_are_the_defaults() -> None:
    """REQ-S56: the lifetimes in README's table are those of the settings."""
    with override_settings(TYPED_SESSIONS={}):
        defaults = conf.settings()
        seconds = {
            "``TEMP_EXPIRY``": defaults.temp_seconds,
            "``PERM_EXPIRY``": defaults.perm_seconds,
            "``ABSOLUTE_EXPIRY``": defaults.absolute_seconds,
            "``TOUCH_INTERVAL``": defaults.touch_interval,
        }
    table = {row[1]: row[2] for row in rows(section(README, "How long a session lives")) if row[1].startswith("``")}
    assert {name: _seconds(span) for name, span in table.items()} == seconds


def _seconds(span: str) -> int:
    number, unit = span.split()
    return int(timedelta(**{unit: int(number)}).total_seconds())


def test_readme_names_every_engine() -> None:
    """README's table of engines has the modules of `typed_sessions.backends` that can be a SESSION_ENGINE."""
    table = {row[0].strip("`.") for row in rows(section(README, "Which engine")) if row[0].startswith("``.")}
    modules = (ROOT / "typed_sessions/backends").glob("*.py")
    engines = {module.stem for module in modules if "class SessionStore(base.SessionStore)" in module.read_text()}
    assert table == engines


def test_readme_names_every_error() -> None:
    """README's table of errors has each exception of the package that can reach a project."""
    text = section(README, "Errors")
    raised = [
        name for name, member in vars(exceptions).items() if isinstance(member, type) and issubclass(member, Exception)
    ]
    hidden = {"TypedSessionError", "UnreadableRecord"}  # the base, and one that the engine takes care of
    assert [name for name in raised if name not in hidden and f"``{name}``" not in text] == []
    assert f"``Retry-After: {RETRY_AFTER}``" in section(docs("storing"), "When a store does not answer")


def test_readme_has_the_commands() -> None:
    """README has the two commands that take a machine with Python, pip and git to the shop and to the tests."""
    begin = "python3 -m venv .venv && .venv/bin/pip install -e"
    commands = [line.strip() for line in section(README, "See it run").splitlines() if begin in line]
    assert commands == [
        f'{begin} ".[demo]" && .venv/bin/python manage.py demo',
        f'{begin} ".[test]" && .venv/bin/python -m pytest',
    ]


def test_readme_quotes_the_measured_table() -> None:
    """The table between the marks in README is the one in `Benchmarks`."""
    quoted = re.compile(r"\.\. begin measured table\n(.*)\.\. end measured table", re.S)
    here, there = (quoted.search(page.read_text(encoding="utf-8")) for page in (README, docs("benchmarks")))
    assert here and there and here[1] == there[1]


def test_readme_links_lead_somewhere() -> None:
    """Each relative link of README is a file of the repository."""
    targets = re.findall(r"<([^>:]+\.rst)>`__", README.read_text(encoding="utf-8"))
    assert targets
    assert [target for target in targets if not (ROOT / target).is_file()] == []


def test_package_index_can_render_the_readme() -> None:
    """README is plain reStructuredText, without a single complaint: a package index refuses it otherwise."""
    docutils = pytest.importorskip("docutils.core")
    complaints = StringIO()
    overrides = {"file_insertion_enabled": False, "raw_enabled": False, "report_level": 1, "warning_stream": complaints}
    docutils.publish_string(README.read_text(encoding="utf-8"), writer="html5", settings_overrides=overrides)
    assert complaints.getvalue() == ""


# Reference tables


def test_settings_page_has_every_key_and_default() -> None:
    """The table of settings, and the block with all of them, are what `conf` knows."""
    text = docs("settings").read_text(encoding="utf-8")
    defaults = {name: getattr(conf.Settings(), name.lower()) for name in conf.RULES}
    table = re.findall(r"^   \* - ``([A-Z_]+)``\n     - ``(.+)``$", text, re.M)
    assert {key: eval(default, {"timedelta": timedelta}) for key, default in table} == defaults
    (block,) = blocks(docs("settings"))
    assert settings_of(block)["TYPED_SESSIONS"] == defaults
    assert [key for key, _ in table] == list(settings_of(block)["TYPED_SESSIONS"]) == list(conf.RULES)


def test_every_check_is_documented() -> None:
    """`System checks` has each id that the package can give, once, and no other."""
    documented = re.findall(
        r"^``(typed_sessions\.[EW]\d{3})``", docs("system-checks").read_text(encoding="utf-8"), re.M
    )
    assert documented == sorted(documented, key=lambda check: check[-3:])
    assert Counter(documented) == Counter(dict.fromkeys(check_ids(), 1))


def test_mentioned_checks_exist() -> None:
    """An id of a check that any page speaks of is one that the package can give."""
    mentioned = {found for page in PAGES for found in re.findall(r"\b[EW]\d{3}\b", page.read_text(encoding="utf-8"))}
    django_s = {"W010", "W015"}
    assert mentioned - django_s <= {check[-4:] for check in check_ids()}


def check_ids() -> set[str]:
    """Read from the calls in the source, so that a check which nothing here provokes is found too."""
    letters = {"error": messages.error, "warning": messages.warning}
    calls = [
        node
        for module in (ROOT / "typed_sessions/checks").glob("*.py")
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in letters
    ]
    made = [letters[ast.unparse(call.func)](ast.literal_eval(call.args[0]), "", "") for call in calls]
    return {str(message.id) for message in made}


def test_reference_has_every_public_name() -> None:
    """The reference lists all that `typed_sessions`, its authentication, signals and exceptions offer."""
    text = docs("reference").read_text(encoding="utf-8")
    public = {*typed_sessions.__all__, *(name for name in dir(signals) if name.startswith("on_"))}
    public |= {name for name in ("login", "alogin", "logout", "alogout", "TypedSessionBackend") if hasattr(auth, name)}
    assert [name for name in sorted(public) if not re.search(rf"^\.\. auto\w+:: {name}\b", text, re.M)] == []
    assert ".. automodule:: typed_sessions.exceptions\n   :members:" in text


FIGURES = [
    ("storing", "under its key for an hour", record.TOMBSTONE_LIFE, 3600),
    ("cookies-and-lifetimes", "is remembered for an hour", record.TOMBSTONE_LIFE, 3600),
    ("storing", "expired more than five minutes ago", record.GRACE, 300),
    ("writing-a-store", "the grace of five minutes", record.GRACE, 300),
    ("storing", "which stays for 4 seconds", cached_database.MARK_LIFE, 4),
    ("storing", "60 seconds at most", cached_database.COPY_LIFE, 60),
    ("storing", "longer than a second", cached_database.SLOW_READ, 1),
    ("storing", "at most 50 for each event loop", async_redis.MAX_CONNECTIONS, 50),
    ("storing", "1,000 to a", database._SWEEP, 1000),
    ("cookies-and-lifetimes", "400 days", BROWSER_LIMIT, timedelta(days=400)),
]


@pytest.mark.parametrize(("page", "words", "actual", "told"), FIGURES, ids=lambda value: str(value))
def test_figures_are_the_package_s(page: str, words: str, actual: object, told: object) -> None:
    """A figure that a page names is the one in the code."""
    assert words in " ".join(docs(page).read_text(encoding="utf-8").split())
    assert actual == told


# What the pages promise


@pytest.mark.django_db
def test_sessions_page(
    client: Client, project: Callable[[Path], ModuleType], tmp_path: Path, settings: Settings
) -> None:
    """The views of `Sessions` do with the session what the page says."""
    views = project(docs("sessions"))
    (tmp_path / "cart.html").write_text("{{ lines|length }} lines, {{ request.typed_session.total }}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    sessions = sys.modules["shop.sessions"]

    @contextmanager
    def session() -> Iterator[Any]:
        store = SessionStore(client.cookies["ss-id"].value)
        yield store.typed_session
        store.save()

    client.get("/plain/")
    assert client.get("/checked_by_type/").json() == {"currency": "GBP", "total": "0.00"}
    client.get("/annotated/")
    with session() as stored:
        assert stored.currency == "USD"
        stored.cart.append(sessions.CartLine("cup", 2, views.ShopSession().total + 3))
        stored.page_views = 4
    client.get("/engrave/cup/Ada/")
    client.get("/engrave/cup/Grace/")
    with session() as stored:
        assert stored.cart[0].options == {"engraving": ["Ada", "Grace"]}
    assert client.get("/Cart/").content == b"1 lines, 6.00"
    client.get("/in_pounds/")
    with session() as stored:
        assert (stored.currency, len(stored.cart), stored.page_views) == ("GBP", 1, 4)
    client.get("/start_over/")
    with session() as stored:
        assert (stored.currency, stored.cart, stored.page_views) == ("GBP", [], 0)
    assert client.get("/import_list/?sku=a&sku=b").content == b"2"
    assert client.get("/import_list/", {"sku": "x" * 70_000}).status_code == 413
    with session() as stored:
        assert stored.cart == []


@pytest.mark.django_db
def test_bag_of_the_sessions_page(client: Client, project: Callable[[Path], ModuleType]) -> None:
    """A change inside a value of the bag is saved, beside the fields."""
    project(docs("sessions"))
    client.get("/remember_tab/")
    client.get("/remember_tab/")
    client.get("/plain/")
    assert client.get("/tab/").json() == {"tab": "offers", "steps": ["offers", "offers"]}
    assert session_of(client).currency == "GBP"


@pytest.mark.django_db
def test_explicit_saving_of_the_sessions_page(
    client: Client, project: Callable[[Path], ModuleType], settings: Settings
) -> None:
    """With SAVE="explicit", a change is kept if, and only if, the view saves it."""
    project(docs("sessions"))
    (block,) = blocks_of_settings(docs("sessions"))
    settings.TYPED_SESSIONS = settings_of(block)["TYPED_SESSIONS"]
    client.get("/keep_currency/USD/")
    assert client.get("/try_currency/GBP/").content == b"GBP"
    assert session_of(client).currency == "USD"
    client.get("/remember_tab/")
    assert session_of(client).currency == "USD"


async def test_async_view_of_the_sessions_page(
    db: None, async_client: AsyncClient, project: Callable[[Path], ModuleType]
) -> None:
    """The async view saves what it changed."""
    project(docs("sessions"))
    assert (await async_client.get("/asynchronous/")).json() == {"visited": ["asynchronous"]}
    assert (await async_client.get("/asynchronous/")).json() == {"visited": ["asynchronous"]}


def test_sessions_page_knows_every_merge_rule_and_option() -> None:
    """Each rule of `merge`, each option of a field, and each property of a session has its line."""
    options = section(docs("sessions"), "Options of a field")
    rules = ("last", "add", "max", "min", "union", "append", "refuse")
    assert [rule for rule in rules if f'``"{rule}"``' not in options] == []
    signature = inspect.signature(typed_sessions.session_field)
    own = [name for name in signature.parameters if name not in ("metadata", "field_options")]
    assert [name for name in own if f"\n``{name}``\n" not in options] == []
    facts = section(docs("sessions"), "What every session knows")
    properties = [name for name, member in vars(TypedSession).items() if isinstance(member, property)]
    shown = [name for name in properties if not name.startswith("_")]
    assert [name for name in shown if f"``{name}``" not in facts] == []
    names = [declared.name for declared in fields(typed_sessions.AuthUserSession)]
    assert [name for name in names if f"``{name}``" not in facts] == []


def test_states_are_all_explained() -> None:
    """Each status has its line, and no reason is named that does not exist."""
    text = section(docs("cookies-and-lifetimes"), "What became of a session")
    assert [status.value for status in typed_sessions.SessionStatus if f"\n``{status.value}``" not in text] == []
    assert set(re.findall(r"``(logged_out|rotated|\w+_idle|\w+_absolute|undecodable)``", text)) <= {
        reason.value for reason in typed_sessions.EndReason
    }


@pytest.mark.django_db
@pytest.mark.parametrize("page", [README, docs("cookies-and-lifetimes")], ids=lambda page: page.name)
def test_names_with_a_prefix(page: Path, project: Callable[[Path], ModuleType], settings: Settings) -> None:
    """With the settings for HTTPS, all three cookies are ones that a browser takes under a `__Host-` name."""
    project(docs("signing-in"))
    (block,) = [block for block in blocks_of_settings(page) if "__Host-" in block.text]
    for name, value in settings_of(block).items():
        setattr(settings, name, value)
    get_user_model().objects.create_user("ada", password="secret")
    client = Client()
    client.post("/sign_in_by_api/", {"username": "ada", "password": "secret", "remember": "yes"}, secure=True)
    ours = {name: cookie for name, cookie in client.cookies.items() if name.startswith("__Host-")}
    assert set(ours) == {"__Host-ss-id", "__Host-ss-pid", "__Host-ss-opt"}
    assert all(cookie["secure"] and cookie["path"] == "/" and not cookie["domain"] for cookie in ours.values())
    client.post("/sign_out/", secure=True)
    assert all(cookie["secure"] and cookie["max-age"] == 0 for name, cookie in client.cookies.items() if name in ours)


@pytest.mark.django_db
def test_welcome_of_the_cookies_page(
    client: Client, project: Callable[[Path], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The view tells a visitor with a session that expired, ended or was lost what became of it."""
    project(docs("cookies-and-lifetimes"))
    now = typed_sessions.clock.now()
    monkeypatch.setattr("typed_sessions.clock.now", lambda: now)

    def welcome(store: SessionStore) -> bytes:
        client.cookies["ss-id"] = store.session_key or ""
        return client.get("/welcome/").content

    def stored() -> SessionStore:
        store = SessionStore()
        store["kept"] = True
        store.save()
        return store

    assert client.get("/welcome/").content == b"Hello."
    assert welcome(stored()) == b"Hello."
    ended = stored()
    SessionStore(ended.session_key).delete()
    assert welcome(ended) == b"You have signed out in another window."
    lost = stored()
    typed_sessions.models.StoredSession.objects.filter(pk=lost.typed_session.id).delete()
    assert welcome(lost) == b"We have lost your cart. We are sorry."
    expired = stored()
    now += 15 * 24 * 3600
    assert welcome(expired) == b"You were away for a while. Please sign in again."


@pytest.mark.django_db
def test_signing_in_page(
    client: Client, project: Callable[[Path], ModuleType], tmp_path: Path, settings: Settings
) -> None:
    """Sign-in by form and by API choose the mode, fill the session, and keep of the visitor's what carries over."""
    project(docs("signing-in"))
    (tmp_path / "sign_in.html").write_text("{{ form }}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    get_user_model().objects.create_user("ada", password="secret", first_name="Ada", last_name="Lovelace")
    store = SessionStore()
    store.typed_session.cart, store.typed_session.landing_page = ["cup"], "/spring/"
    store["kept"] = 1
    store.save()
    client.cookies["ss-id"] = store.session_key or ""
    form = {"username": "ada", "password": "secret", "remember": "on"}
    assert client.post("/SignIn/", {**form, "password": "wrong"}).status_code == 200
    assert session_of(client).id == store.typed_session.id
    assert client.post("/SignIn/?next=/", form).status_code == 302
    session = session_of(client)
    assert (session.mode, session.is_authenticated) == (typed_sessions.SessionMode.PERM, True)
    assert (session.cart, session.landing_page, session.greeting) == (["cup"], "", "Welcome back, Ada Lovelace")
    assert SessionStore(store.session_key).typed_session.end_reason is typed_sessions.EndReason.ROTATED
    answer = client.post("/sign_in_by_api/", {**form, "remember": "no"})
    assert answer.content.decode() == session_of(client).id
    assert session_of(client).mode is typed_sessions.SessionMode.TEMP
    assert SessionStore(session._facts.token.text).typed_session.end_reason is typed_sessions.EndReason.ROTATED
    assert client.post("/sign_in_by_api/", {**form, "password": "wrong"}).status_code == 403
    client.post("/sign_out/")
    assert {name for name, cookie in client.cookies.items() if not cookie["max-age"] and name != "csrftoken"} >= {
        "ss-id"
    }


@pytest.mark.django_db
def test_order_of_events(
    client: Client, project: Callable[[Path], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hooks, signals and stored records come in the order in which `Signing in` has them."""
    project(docs("signing-in"))
    get_user_model().objects.create_user("ada", password="secret")
    happened: list[str] = []
    session_class = sys.modules["shop.sessions"].ShopSession

    def note(name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: happened.append(name)

    for name in ("on_created", "on_authenticated", "on_logout"):
        monkeypatch.setattr(session_class, name, note(f"hook {name}"))
        getattr(signals, name).connect(note(f"signal {name}"), weak=False)
    user_logged_in.connect(note("user_logged_in"), weak=False)
    for verb in ("create", "replace", "end"):
        original = getattr(database.DatabaseStore, verb)
        monkeypatch.setattr(
            database.DatabaseStore,
            verb,
            lambda *args, verb=verb, original=original: (happened.append(verb), original(*args))[1],
        )
    form = {"username": "ada", "password": "secret"}
    begin = ["hook on_authenticated", "signal on_authenticated", "user_logged_in"]
    client.post("/sign_in_by_api/", {**form, "remember": "yes"})
    assert happened == [*begin, "hook on_created", "create", "signal on_created"]
    happened.clear()
    client.post("/sign_in_by_api/", form)
    assert happened == [*begin, "replace", "end"]
    happened.clear()
    client.post("/sign_out/")
    assert happened == ["hook on_logout", "signal on_logout", "end"]


@pytest.mark.django_db
def test_hooks_and_receivers_of_the_signing_in_page(
    client: Client, project: Callable[[Path], ModuleType], caplog: pytest.LogCaptureFixture
) -> None:
    """The hook sets what is stored first, and the receivers tell of sign-in and sign-out."""
    project(docs("signing-in"))
    importlib.import_module("shop.receivers")
    get_user_model().objects.create_user("ada", password="secret")
    with caplog.at_level("INFO", logger="shop.receivers"):
        client.post("/sign_in_by_api/?campaign=spring", {"username": "ada", "password": "secret"})
        session = session_of(client)
        assert session.campaign == "spring"
        client.post("/sign_out/")
    assert caplog.messages == [f"ada signed in, session {session.id}", "ada left 0 items behind"]


@pytest.mark.django_db
def test_failing_hook_undoes_the_sign_in(
    client: Client, project: Callable[[Path], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception in `on_authenticated` is a 500 that stores nothing and sets no cookie of ours."""
    project(docs("signing-in"))

    def refuse(self: object, request: object, user: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(sys.modules["shop.sessions"].ShopSession, "on_authenticated", refuse)
    get_user_model().objects.create_user("ada", password="secret")
    client.raise_request_exception = False
    answer = client.post("/sign_in_by_api/", {"username": "ada", "password": "secret"})
    assert answer.status_code == 500
    assert not {"ss-id", "ss-pid", "ss-opt"} & set(answer.cookies)
    assert typed_sessions.models.StoredSession.objects.count() == 0


# The releases of `Changing your class`


@pytest.fixture
def release(project: Callable[[Path], ModuleType], settings: Settings, db: None) -> Callable[[int], SessionStore]:
    """`release(n)` opens the one session of the test as release n of the page's class does."""
    project(docs("changing-your-class"))
    store = SessionStore()
    store["begun"] = True
    store.save()

    def open_(number: int) -> SessionStore:
        module = importlib.import_module(f"shop.release_{number}")
        (name,) = [path for path in _session_classes() if path.startswith(f"{module.__name__}.")]
        settings.TYPED_SESSIONS = {"SESSION_CLASS": name}
        return SessionStore(store.session_key)

    return open_


def change(store: SessionStore, **values: object) -> None:
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
    """Both releases see what either has written, emptied included."""
    change(release(2), note="for you")
    assert release(3).typed_session.gift_note == "for you"
    change(release(3), gift_note="for them")
    assert release(2).typed_session.note == "for them"
    change(release(2), note="")
    assert release(3).typed_session.gift_note == ""


def test_retyped_field(release: Callable[[int], Any], caplog: pytest.LogCaptureFixture) -> None:
    """The new release upgrades; the former one reads its default, says so, and leaves what is stored as it is."""
    change(release(3), cart=["cup", "pot"])
    upgraded = release(4)
    assert [line.sku for line in upgraded.typed_session.cart] == ["cup", "pot"]
    change(upgraded, currency="USD")
    former = release(3)
    assert former.typed_session.cart == []
    assert former.typed_session.currency == "USD"
    assert "ShopSession.cart" in caplog.text
    change(former, gift_note="for you")
    session = release(4).typed_session
    assert ([line.sku for line in session.cart], session.gift_note) == (["cup", "pot"], "for you")


def test_renamed_class(release: Callable[[int], Any], caplog: pytest.LogCaptureFixture, settings: Settings) -> None:
    """A class that says its former name reads all fields; one that does not reads defaults, and the log names the remedy."""
    change(release(4), currency="USD")
    other = release(5)
    assert other.typed_session.currency == "USD"
    assert not caplog.messages
    module = sys.modules["shop.release_5"]
    module.Forgetful = dataclass(type("Forgetful", (module.StoreSession,), {"schema_name": ""}))
    settings.TYPED_SESSIONS = {"SESSION_CLASS": "shop.release_5.Forgetful"}
    other = SessionStore(other.session_key)
    assert other.typed_session.currency == "EUR"
    assert "schema_name = 'ShopSession'" in caplog.text
    change(other, currency="GBP")
    assert release(4).typed_session.currency == "USD"


# Stores


@pytest.mark.django_db
def test_migrating_page(client: Client, project: Callable[[Path], ModuleType]) -> None:
    """The view as it was, and the typed one, both count, side by side in one record."""
    project(docs("migrating"))
    for view in ("add", "add_typed"):
        assert client.get(f"/{view}/cup/").json() == {"cup": 1}
        assert client.get(f"/{view}/cup/").json() == {"cup": 2}
    assert typed_sessions.models.StoredSession.objects.count() == 1


def caches_of(words: str) -> dict[str, Any]:
    """The `CACHES` of the block in `Storing sessions` in which ``words`` occur."""
    (block,) = [block for block in blocks_of_settings(docs("storing")) if words in block.text]
    found: dict[str, Any] = settings_of(block)["CACHES"]
    return found


@pytest.mark.parametrize("alias", ["cluster", "sentinel"])
def test_cluster_and_sentinel_settings_reach_their_servers(
    alias: str,
    project: Callable[[Path], ModuleType],
    use_cache: Callable[[str], str],
    settings: Settings,
    client: Client,
) -> None:
    """The settings shown for Sentinel and Cluster, with addresses of servers that run, store sessions there."""
    project(README)
    use_cache(alias)
    running = django_settings.CACHES[alias]
    documented = caches_of("SENTINELS" if alias == "sentinel" else "ClusterConnectionFactory")
    documented["default"]["LOCATION"] = running["LOCATION"]
    if alias == "sentinel":
        documented["default"]["OPTIONS"]["SENTINELS"] = running["OPTIONS"]["SENTINELS"]
    documented["default"]["OPTIONS"]["SOCKET_TIMEOUT"] = 5
    settings.CACHES, settings.SESSION_CACHE_ALIAS = documented, "default"
    settings.SESSION_ENGINE = "typed_sessions.backends.redis"
    client.get("/add_to_cart/cup/")
    assert client.get("/cart/").json()["cart"] == [{"sku": "cup", "quantity": 1}]


def test_least_privileged_user_of_redis(
    project: Callable[[Path], ModuleType], valkey: RedisServer, settings: Settings, client: Client
) -> None:
    """A user of the server with the keys that `Storing sessions` names, and without the commands it names, is enough."""
    text = section(docs("storing"), "Redis and Valkey: ``redis``")
    (keys,) = re.findall(r"``(~urn:\S+)``", text)
    forbidden = re.findall(r"\b(KEYS|FLUSHALL|CONFIG)\b", text)
    valkey.run("ACL SETUSER", "shop", "on", ">secret", keys, "+@all", *(f"-{name}" for name in forbidden))
    project(README)
    location = valkey.url.replace("unix://", "unix://shop:secret@")
    settings.CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": location}}
    settings.SESSION_ENGINE = "typed_sessions.backends.redis"
    client.get("/add_to_cart/cup/")
    assert client.get("/cart/").json()["cart"] == [{"sku": "cup", "quantity": 1}]
    importlib.import_module("typed_sessions.backends.redis").SessionStore.clear_expired()
    caches["default"].close()


def test_documented_store_passes_the_contract(started: Path) -> None:
    """The store and the engine of `Writing a store`, in a new project, pass the tests that the page shows."""
    for name, text in _files(docs("writing-a-store")).items():
        (started / name).write_text(text, encoding="utf-8")
    add_settings(started, blocks_of_settings(docs("writing-a-store"))[0])
    command = "python -m pytest -q -p no:cacheprovider --ds=shop.settings shop/test_memory.py"
    assert re.search(r"^\d{2,} passed", run(command, started), re.M)


def test_formats_are_told_of() -> None:
    """The two values of CODEC are the two formats."""
    text = section(docs("storing"), "JSON and msgpack")
    assert all(f'``"{format.name}"``' in text for format in (JSON, MSGPACK))
