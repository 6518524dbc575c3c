"""One engine for each handler, unless a test asks for all; requests of one session that meet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as django_settings

from tests.engines.rows import UseEngine
from tests.web.browser import ApiClient, Browser, Wsgi
from typed_sessions import tokens
from typed_sessions.backends import patience
from typed_sessions.backends.base import SessionStore
from typed_sessions.flows import Step, drive
from typed_sessions.stores.record import Record

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django import Settings

Look = Callable[[Browser], Record]
Meanwhile = Callable[[Browser], Browser]
TakeTurn = Callable[[Browser | ApiClient], None]


@pytest.fixture
def engine(request: pytest.FixtureRequest, use_engine: UseEngine, handler: str) -> type[SessionStore]:
    """An option of a view does not know the engine: each handler has another one."""
    return use_engine(getattr(request, "param", {"wsgi": "db", "asgi": "redis"}[handler]))


@pytest.fixture
def record_of(engine: type[SessionStore]) -> Look:
    """`record_of(browser)` is what the store has of the browser's session."""

    def look(browser: Browser) -> Record:
        found = engine().store.load(tokens.digest(browser.token))
        assert isinstance(found, Record)
        return found

    return look


@pytest.fixture
def meanwhile() -> Meanwhile:
    """`meanwhile(browser)` is another tab of the browser, whose requests may be made from within a view."""
    return lambda browser: Browser(Wsgi(), dict(browser.cookies))


@pytest.fixture
def take_turn(engine: type[SessionStore]) -> TakeTurn:
    """`take_turn(browser)` has the browser's session for itself, and never ends it: a worker that dies."""
    return lambda browser: drive(engine(browser.token).take_lease(5, 30))


@pytest.fixture
def in_template(tmp_path: Path, settings: Settings) -> Callable[[str], str]:
    """`in_template(text)` is the name of a template."""
    settings.TEMPLATES = [{**django_settings.TEMPLATES[0], "DIRS": [tmp_path]}]

    def write(text: str) -> str:
        name = f"{len([*tmp_path.iterdir()])}.html"
        (tmp_path / name).write_text(text)
        return name

    return write


class Waiting:
    """Tells when a request waits for its turn; and what happens then, instead of the wait."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.action: Callable[[], object] | None = None

    def pause(self, original: Callable[[], Step]) -> Step:
        self.begun.set()
        if self.action is not None:
            action, self.action = self.action, None
            action()
        return original()


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    waiting, pause = Waiting(), patience.pause
    monkeypatch.setattr(patience, "pause", lambda: waiting.pause(pause))
    return waiting


def told(records: list[Any]) -> list[str]:
    """What this app has logged, by the records of `caplog`."""
    return [record.getMessage() for record in records if record.name == "typed_sessions"]
