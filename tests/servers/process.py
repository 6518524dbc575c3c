"""A server process that ends with the Python process that started it, also when that one is killed."""

from __future__ import annotations

import atexit
import ctypes
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from typing_extensions import Self

_PR_SET_PDEATHSIG = 1
# Looked up before any fork: the child of a threaded process must not wait for a lock that nobody will release.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def new_path() -> Path:
    """Where to make a temporary directory: a short path, since that of a Unix socket ends at about 100 characters."""
    parent = Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())
    return parent / f"ts-{secrets.token_hex(6)}"


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Return as soon as the condition holds; raise TimeoutError, which says what was waited for, when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.005)


def _end_with(parent: int, last_signal: int) -> None:
    """Runs in the child before the server does. macOS has no such call: there a killed test run leaves its servers."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, last_signal)
        if os.getppid() != parent:
            os._exit(1)


class Server(ABC):
    """One server process with a directory of its own; a context manager, and start() and stop() for fixtures."""

    last_signal: ClassVar[signal.Signals] = signal.SIGKILL
    environment: ClassVar[Mapping[str, str] | None] = None
    user: int | None = None
    """The user id to run as, if not our own."""

    def __init__(self, home: Path | None = None) -> None:
        self.home = home or new_path()
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server serves a request now."""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            # The kernel takes the end of the thread that forked for the end of the parent.
            raise RuntimeError("start servers in the main thread: a server ends with the thread that started it")
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        atexit.register(self.stop)
        self._process = self._spawn()
        wait_until(lambda: not self.running or self.answers(), f"the first answer of {self.command()}")
        if not self.running:
            raise RuntimeError(f"{self.command()} did not start:\n{self.log()}")
        return self

    def _spawn(self) -> subprocess.Popen[bytes]:
        with (self.home / "log").open("wb") as log:
            return subprocess.Popen(
                self.command(),
                cwd=self.home,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else [],
                start_new_session=True,
                preexec_fn=partial(_end_with, os.getpid(), self.last_signal),
            )

    def log(self) -> str:
        return (self.home / "log").read_text(errors="replace")

    def freeze(self) -> None:
        """Keep connections open and answer nothing, until thaw()."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End the process at once; start() brings it back at the same place."""
        if self._process is None:
            return
        self._process.send_signal(self.last_signal)
        self._process.send_signal(signal.SIGCONT)
        self._process.wait(10)

    def stop(self) -> None:
        """End the process and remove what it left."""
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)
        atexit.unregister(self.stop)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
