"""gunicorn, uvicorn and Django's runserver with the site on them, each on a port of this machine."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from abc import abstractmethod
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tests.servers.process import Server
from tests.servers.redis import RedisServer, free_port

if TYPE_CHECKING:
    from typing_extensions import Self

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = "tests.web_servers.site.settings"


def make_database(home: Path) -> Path:
    """An empty database in `home`, with all tables."""
    migrate = [sys.executable, "-m", "django", "migrate", "--verbosity", "0", "--settings", SETTINGS]
    subprocess.run(["env", *_environment(home), *migrate], check=True, timeout=60)
    return home / "db.sqlite3"


def _environment(home: Path) -> list[str]:
    """What `env` is to set. gunicorn puts a socket into HOME or XDG_RUNTIME_DIR."""
    unset = [part for name in ("GUNICORN_CMD_ARGS", "XDG_RUNTIME_DIR", "WEB_CONCURRENCY") for part in ("-u", name)]
    return [*unset, f"PYTHONPATH={ROOT}", f"HOME={home}", f"TYPED_SESSIONS_SITE_HOME={home}"]


class Site(Server):
    """The site on one of the servers; `database` is copied, and holds the sessions unless a Redis does."""

    package: ClassVar[str] = "django"
    """What has to be installed."""
    views: ClassVar[str] = "sync"
    workers: ClassVar[int] = 1

    def __init__(self, database: Path, redis: RedisServer | None = None) -> None:
        super().__init__()
        self.database, self.redis, self.port = database, redis, free_port()

    @classmethod
    def unavailable(cls) -> str:
        """Why the server cannot run here; empty when it can."""
        return "" if find_spec(cls.package) else f"{cls.package} is not installed: pip install -e '.[test]'"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @cached_property
    def url(self) -> str:
        return f"http://{self.address}"

    @abstractmethod
    def program(self) -> list[str]:
        """A module of Python's, and its arguments."""

    def command(self) -> list[str]:
        chosen = [f"DJANGO_SETTINGS_MODULE={SETTINGS}", f"TYPED_SESSIONS_SITE_VIEWS={self.views}"]
        if self.redis:
            chosen.append(f"TYPED_SESSIONS_SITE_REDIS={self.redis.url}")
        return ["env", *_environment(self.home), *chosen, sys.executable, "-m", *self.program()]

    def start(self) -> Self:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self.home / "db.sqlite3").exists():
            shutil.copy(self.database, self.home)
        return super().start()

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(b"GET /plain/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                return b" 200 " in connection.recv(100)
        except OSError:
            return False


class Gunicorn(Site):
    """WSGI, and two processes that share the work."""

    # The quickest end that takes the workers along.
    last_signal = signal.SIGQUIT
    package = "gunicorn"
    workers = 2

    def program(self) -> list[str]:
        quick = ["--graceful-timeout", "2", "--worker-tmp-dir", str(self.home), "--access-logfile", "-"]
        where = ["--bind", self.address, "--workers", str(self.workers)]
        return ["gunicorn", *where, *quick, "django.core.wsgi:get_wsgi_application()"]


class Uvicorn(Site):
    """ASGI, with views that are coroutines."""

    package = "uvicorn"
    views = "async"

    def program(self) -> list[str]:
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--lifespan", "off"]
        return ["uvicorn", *where, "--factory", "django.core.asgi:get_asgi_application"]


class Runserver(Site):
    """What developers use: the server of the standard library."""

    def program(self) -> list[str]:
        return ["django", "runserver", "--noreload", self.address]
