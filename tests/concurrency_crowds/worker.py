"""`python -m tests.concurrency_crowds.worker`: a process that counts up a session in several threads.

It says `ready`, waits for a line, and answers with the increments that were acknowledged.
"""

from __future__ import annotations

import json
import sys
from functools import partial

import django
from django.conf import settings


def main(task: str) -> None:
    given = json.loads(task)
    settings.DATABASES = {"default": given["database"]}
    for name, value in given["settings"].items():
        setattr(settings, name, value)
    django.setup()
    from tests.concurrency_crowds.crowds import at_once, count_up

    _say("ready")
    sys.stdin.readline()
    _say(str(sum(at_once([partial(count_up, given["key"])] * given["threads"]))))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
