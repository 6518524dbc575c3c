"""`python -m tests.life.reaper`: a process that reaps, and notes in a file whom it was told of.

It says `ready`, waits for a line, and then reaps until as many are told of, by whomever, as there are.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import django
from django.conf import settings


def main(task: str) -> None:
    given = json.loads(task)
    settings.DATABASES = {"default": given["database"]}
    for name, value in given["settings"].items():
        setattr(settings, name, value)
    django.setup()
    from typed_sessions import live_sessions
    from typed_sessions.signals import on_ended

    notes = Path(given["notes"])
    file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(session: Any, reason: Any, **kwargs: object) -> None:
        # One write of few bytes to the end of a file is whole, also if the process is killed right after it.
        os.write(file, f"{session.id} {reason.value} {session.page_views} {given['name']}\n".encode())

    on_ended.connect(note)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    while len({line.split()[0] for line in notes.read_text().splitlines()}) < given["total"]:
        live_sessions.reap(lease=given["lease"], batch=given["batch"])
        time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1])
