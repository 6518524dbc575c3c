"""What all verbs of `typed_sessions` have in common: options, exit codes, and how they say it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from tests.commands.conftest import UNKNOWN, Run
from tests.engines.rows import UseEngine
from tests.servers.redis import RedisServer
from tests.settings import RUN_DIR
from tests.web.browser import Browser
from tests.web_servers.servers import ROOT
from typed_sessions.management.commands.typed_sessions import VERBS
from typed_sessions.management.output import local_time, printable, size, span
from typed_sessions.testing.engines import Clock

QUESTIONS = {
    "list": ["--json"],
    "show": [UNKNOWN],
    "end": ["--all", "--yes"],
    "stats": [],
    "reap": ["--limit", "1"],
    "doctor": ["--fail-level", "error"],
}
"""One for each verb."""


def shell(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as people call it."""
    environment = {**os.environ, "TYPED_SESSIONS_RUN_DIR": str(RUN_DIR), "PYTHONPATH": str(ROOT)}
    environment["DJANGO_SETTINGS_MODULE"] = "tests.commands.redis_settings"
    command = [sys.executable, "-m", "django", "typed_sessions", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_every_verb_is_asked() -> None:
    """No verb is left out of what follows."""
    assert set(QUESTIONS) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_store_that_is_down(run: Run, use_engine: UseEngine, valkey: RedisServer, verb: str) -> None:
    """A store that does not answer is told in one line, with exit code 1, and without a traceback."""
    use_engine("redis")
    valkey.kill()
    said = run(verb, *QUESTIONS[verb])
    assert said.code == 1
    assert "Traceback" not in said.err
    if verb != "doctor":
        assert said.out == ""
        assert said.err.startswith("The session store does not answer: Redis did not do what was asked")


@pytest.mark.parametrize("arguments", [[], ["burn"], ["list", "--limit", "0"], ["list", "--offset", "many"], ["show"]])
def test_questions_without_sense(run: Run, arguments: list[str]) -> None:
    """What is no verb, and no number where one is wanted, is refused."""
    assert run(*arguments).err.startswith("Error: ")


def test_exit_codes(use_engine: UseEngine) -> None:
    """A shell gets 0 if all is well, 1 if something is not there, and 2 for a question without sense; no traceback."""
    use_engine("redis")
    said = shell("list", "--json", "-v", "2", "--no-color", "--settings", "tests.commands.redis_settings")
    assert (said.returncode, said.stdout, said.stderr) == (0, "[]\n", "")
    said = shell("end", UNKNOWN)
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith("CommandError: ")
    said = shell("end")
    assert (said.returncode, said.stderr[:14]) == (2, "CommandError: ")
    said = shell("burn")
    assert said.returncode == 2
    assert "invalid choice" in said.stderr


@pytest.mark.parametrize("engine", ["db"], indirect=True)
@pytest.mark.parametrize("verb", VERBS)
def test_help(run: Run, engine: object, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each verb says what it is for, and what its options are."""
    with pytest.raises(SystemExit):
        run(verb, "--help")
    out = capsys.readouterr().out
    assert "--json" in out
    assert (VERBS[verb].__doc__ or "x")[:30] in out


@pytest.mark.parametrize("engine", ["db"], indirect=True)
def test_progress_ends_its_line(
    run: Run, engine: object, signed_in: Callable[..., Browser], user: User, clock: Clock
) -> None:
    """On a terminal progress has one line, and what comes next begins in another."""
    signed_in(user)
    said = run("end", "--all", "--yes", terminal=True)
    assert said.err == "\r1 sessions ended\n"
    assert run("list", terminal=True).err == "No sessions.\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (0, "0 s"), (59, "59 s"), (60, "1 min"), (3661, "1 h 1 min"), (3605, "1 h"), (90_000, "1 d 1 h")],
)
def test_spans(seconds: int, text: str) -> None:
    """Times that remain are told in the two largest units."""
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1023, "1,023 bytes"), (1024, "1.0 KiB"), (5 * 2**30, "5.0 GiB"), (2**52, "4,096.0 TiB")],
)
def test_sizes(count: int, text: str) -> None:
    """Bytes are told in a unit that makes them short."""
    assert size(count) == text


def test_printable() -> None:
    """What would move a terminal is told as Python would write it; letters of all scripts stay."""
    assert printable("é☃ “x” \x1b[0m\n\x9b\u202e") == "é☃ “x” \\x1b[0m\\n\\x9b\\u202e"
    assert local_time(None) == "-"
