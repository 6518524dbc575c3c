"""A crowd in several processes: what they share is the store alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.conf import settings
from django.db import connections

from tests.concurrency_crowds.crowds import TIMES, WORKERS, stored
from tests.settings import RUN_DIR
from tests.web_servers.servers import ROOT

PROCESSES = 5
_SETTINGS = ("SESSION_ENGINE", "SESSION_CACHE_ALIAS", "TYPED_SESSIONS")
_DATABASE = ("ENGINE", "NAME", "USER", "HOST", "PORT", "OPTIONS")


def _task(key: str, alias: str) -> str:
    database = connections[alias].settings_dict
    return json.dumps(
        {
            "key": key,
            "threads": WORKERS // PROCESSES,
            "database": {name: database[name] for name in _DATABASE},
            "settings": {name: getattr(settings, name) for name in _SETTINGS},
        },
        default=str,
    )


@contextmanager
def _worker(task: str) -> Iterator[subprocess.Popen[str]]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TYPED_SESSIONS_RUN_DIR": str(RUN_DIR),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "tests.concurrency_crowds.worker", task]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_r26_every_increment_counts(key: str, database_alias: str) -> None:
    """Fifty workers in five processes that add one twenty times make a thousand, and each of them was acknowledged."""
    task = _task(key, database_alias)
    with ExitStack() as stack:
        workers = [stack.enter_context(_worker(task)) for _ in range(PROCESSES)]
        assert [_line(worker) for worker in workers] == ["ready"] * PROCESSES
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        acknowledged = sum(int(_line(worker)) for worker in workers)
    session: Any = stored(key).typed_session
    assert (acknowledged, session.page_views) == (WORKERS * TIMES, WORKERS * TIMES)


def _line(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()
