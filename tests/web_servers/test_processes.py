"""The servers that the other tests of this folder stand on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.servers.process import wait_until
from tests.web_servers.servers import Gunicorn, Runserver, Site, Uvicorn
from tests.web_servers.wire import ask


@pytest.mark.parametrize("server", [Gunicorn, Uvicorn, Runserver])
def test_stopped_site_is_gone(server: type[Site], database: Path) -> None:
    """A site leaves neither a process, of its workers neither, nor a directory."""
    if reason := server.unavailable():
        pytest.skip(reason)
    with server(database) as site:
        workers: set[int] = set()

        def all_have_answered() -> bool:
            workers.add(int(ask(site, path="/plain/")["X-Worker"]))
            return len(workers) == site.workers

        wait_until(all_have_answered, "an answer of every worker")
    for pid in {site.pid, *workers}:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert not site.home.exists()
