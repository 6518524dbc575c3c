"""What commands say, to people and with ``--json`` to programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Final, NoReturn

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone as zones

WRONG: Final = 1
ASKED_WRONGLY: Final = 2

_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


class Output:
    """Answers go to stdout, and everything else to stderr."""

    def __init__(self, command: BaseCommand, verbosity: int, is_json: bool) -> None:
        self.command, self.style = command, command.style
        self.verbosity, self.is_json = verbosity, is_json
        self._has_progress = False

    def line(self, text: str = "", style: str = "") -> None:
        """One line of an answer, in a style of Django's."""
        self.command.stdout.write(getattr(self.style, style)(text) if style else text)
        self.command.stdout.flush()

    def json(self, answer: object) -> None:
        """The answer for programs, in one line."""
        self.line(json.dumps(answer, ensure_ascii=False))

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        for number, row in enumerate([head, *rows]):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.line("  ".join(cells).rstrip(), "" if number else "MIGRATE_HEADING")

    def pairs(self, facts: Mapping[str, str]) -> None:
        """One name and value a line."""
        width = max(map(len, facts), default=0)
        for name, value in facts.items():
            self.line(f"{name.ljust(width)}  {value}".rstrip())

    def progress(self, done: int, what: str) -> None:
        """How far it has come: over one line of a terminal, or line by line with ``-v 2``."""
        stderr = self.command.stderr
        if stderr.isatty():
            self._has_progress = True
            stderr.write(f"\r{done:,} {what}", self.style.NOTICE, ending="")
            stderr.flush()
        elif self.verbosity >= 2:
            stderr.write(f"{done:,} {what}", self.style.NOTICE)

    def note(self, text: str) -> None:
        """Something that is no answer, and has to be known."""
        self.close()
        self.command.stderr.write(text, self.style.WARNING)

    def close(self) -> None:
        """What comes next begins in a line of its own."""
        if self._has_progress:
            self._has_progress = False
            self.command.stderr.write("")


def confirmed(question: str) -> bool:
    """Whether somebody at a terminal says yes."""
    if not sys.stdin.isatty():
        return False
    return input(f"{question} Type 'yes' to go on: ").strip().lower() == "yes"


def not_there(text: str) -> NoReturn:
    raise CommandError(text, returncode=WRONG)


def asked_wrongly(text: str) -> NoReturn:
    raise CommandError(text, returncode=ASKED_WRONGLY)


def printable(text: object) -> str:
    """``text`` for a terminal: what visitors have sent might have it do something (CWE-150)."""
    return "".join(part if part.isprintable() else repr(part)[1:-1] for part in str(text))


def instant(moment: datetime | int | None) -> str | None:
    """For programs: ISO 8601 in UTC."""
    if isinstance(moment, int):
        moment = datetime.fromtimestamp(moment, tz=timezone.utc)
    return None if moment is None else moment.astimezone(timezone.utc).isoformat()


def local_time(moment: datetime | int | None) -> str:
    """For people: in the time zone of the project."""
    if isinstance(moment, int):
        moment = datetime.fromtimestamp(moment, tz=timezone.utc)
    return "-" if moment is None else moment.astimezone(zones.get_default_timezone()).strftime("%Y-%m-%d %H:%M:%S")


def span(seconds: int) -> str:
    """Seconds for people: the two largest units."""
    parts: list[str] = []
    left = max(0, seconds)
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}")
    return " ".join([part for part in parts[:2] if part[0] != "0"] or ["0 s"])


def size(count: int) -> str:
    """Bytes for people."""
    amount, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{count:,} bytes" if unit == "bytes" else f"{amount:,.1f} {unit}"
