"""gunicorn with the project on it, each in its own theme, on a port of this machine."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from tests.servers.process import Server
from tests.servers.redis import RedisServer, free_port

if TYPE_CHECKING:
    from typing_extensions import Self

ROOT = Path(__file__).resolve().parents[2]
_SITE = "tests.browser.site"
_UNSET = ("GUNICORN_CMD_ARGS", "XDG_RUNTIME_DIR", "WEB_CONCURRENCY")


def make_database(home: Path) -> Path:
    """A database in `home`, with all tables and everybody in it."""
    command = [*_environment(home, "settings"), sys.executable, "-m", _SITE]
    subprocess.run(command, check=True, timeout=60)
    return home / "db.sqlite3"


def _environment(home: Path, settings: str) -> list[str]:
    """Runs what follows as the project. gunicorn puts a socket into HOME or XDG_RUNTIME_DIR."""
    unset = [part for name in _UNSET for part in ("-u", name)]
    where = [f"PYTHONPATH={ROOT}", f"HOME={home}", f"TYPED_SESSIONS_SITE_HOME={home}"]
    return ["env", *unset, *where, f"DJANGO_SETTINGS_MODULE={_SITE}.{settings}"]


class Site(Server):
    """The project; `database` is copied, and holds the sessions unless a Redis does."""

    # The quickest end that takes the workers along.
    last_signal = signal.SIGQUIT

    def __init__(self, database: Path, settings: str = "settings", redis: RedisServer | None = None) -> None:
        super().__init__()
        self.database, self.settings, self.redis, self.port = database, settings, redis, free_port()

    @cached_property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def python(self, *arguments: str) -> list[str]:
        """A command of the project's."""
        redis = [f"TYPED_SESSIONS_SITE_REDIS={self.redis.url}"] if self.redis else []
        return [*_environment(self.home, self.settings), *redis, sys.executable, *arguments]

    def command(self) -> list[str]:
        where = ["--bind", f"127.0.0.1:{self.port}", "--workers", "2", "--threads", "4"]
        quick = ["--graceful-timeout", "2", "--worker-tmp-dir", str(self.home), "--access-logfile", "-"]
        return self.python("-m", "gunicorn", *where, *quick, f"{_SITE}.wsgi:application")

    def start(self) -> Self:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self.home / "db.sqlite3").exists():
            shutil.copy(self.database, self.home)
        return super().start()

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
                connection.sendall(b"GET /favicon.ico HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                return b" 204 " in connection.recv(100)
        except OSError:
            return False

    def control(self, verb: str, **what: str | int) -> None:
        """Has `control.py` do something."""
        answer = requests.get(f"{self.url}/control/{verb}/", params=what, timeout=60, allow_redirects=False)
        assert answer.status_code == 204, self.log()

    def let_a_day_pass(self) -> None:
        subprocess.run(self.python("-m", _SITE, "day"), check=True, capture_output=True, timeout=120)

    def kept(self, name: str) -> bytes:
        """What the file of that name has in it."""
        file = self.home / name
        return file.read_bytes() if file.exists() else b""

    def tokens(self) -> list[str]:
        """All that were ever given to a browser."""
        return self.kept("tokens").decode().split()


def unavailable(*packages: str) -> str:
    """Why the site cannot run with those packages; empty when it can."""
    missing = [package for package in ("gunicorn", *packages) if not find_spec(package)]
    return f"not installed: {', '.join(missing)}: pip install -e '.[test,ecosystem]'" if missing else ""
