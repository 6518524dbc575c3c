"""``manage.py typed_sessions VERB``.

Exit codes: 0 if all is well; 1 if something is wrong, or what was asked for is not there; 2 if the question makes no
sense.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from ...exceptions import StoreUnavailable
from ..output import ASKED_WRONGLY, WRONG, Output
from ..verbs.base import Verb
from ..verbs.doctoring import Doctor
from ..verbs.ending import End
from ..verbs.listing import List
from ..verbs.reaping import Reap
from ..verbs.showing import Show
from ..verbs.statistics import Statistics

VERBS: Final[dict[str, Verb]] = {verb.name: verb for verb in (List(), Show(), End(), Statistics(), Reap(), Doctor())}


class Command(BaseCommand):
    help = "Lists, shows, ends, counts and reaps the stored sessions, and looks after their store."
    # Sessions have to be ended also while something else is wrong; doctor runs the checks by itself.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = "Exit codes: 0 all is well; 1 something is wrong, or not there; 2 asked wrongly."
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="|".join(VERBS))
        for name, verb in VERBS.items():
            of_verb = verbs.add_parser(name, help=verb.help, description=verb.__doc__)
            verb.add_arguments(of_verb)
            _add_options_of_django(of_verb)

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        out = Output(self, options["verbosity"], options.get("json", False))
        try:
            VERBS[verb].run(out, options)
        except StoreUnavailable as error:
            raise CommandError(f"The session store does not answer: {error}", returncode=WRONG) from error
        except DatabaseError as error:
            hint = "Do 'manage.py migrate' and 'manage.py typed_sessions doctor' help?"
            raise CommandError(f"The database did not do what was asked: {error} {hint}", returncode=WRONG) from error
        except ImproperlyConfigured as error:
            raise CommandError(str(error), returncode=ASKED_WRONGLY) from error
        finally:
            out.close()


def _add_options_of_django(parser: argparse.ArgumentParser) -> None:
    """What people write after the verb too. Without defaults, which would hide what stands before it."""
    more = parser.add_argument_group("options of every command")
    kept: Any = {"default": argparse.SUPPRESS, "help": argparse.SUPPRESS}
    more.add_argument("-v", "--verbosity", type=int, choices=[0, 1, 2, 3], **kept)
    for name in ("--settings", "--pythonpath"):
        more.add_argument(name, **kept)
    for name in ("--traceback", "--no-color", "--force-color"):
        more.add_argument(name, action="store_true", **kept)
