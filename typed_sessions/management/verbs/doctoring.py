"""``doctor``: what is wrong, and what to do about it."""

from __future__ import annotations

import argparse
from typing import Any, Final

from ...doctor import Finding, Level, examine, worst
from .. import site
from ..output import Output, not_there, printable
from .base import Verb, add_json

_STYLES: Final = {Level.OK: "SUCCESS", Level.UNKNOWN: "NOTICE", Level.WARNING: "WARNING", Level.ERROR: "ERROR"}
_BAD: Final = {"warning": (Level.WARNING, Level.ERROR), "error": (Level.ERROR,)}


class Doctor(Verb):
    """Checks settings, store, index and reaper, and says of each what was found and what to do.

    It looks at every key of Redis, in batches, and may take a while. With --repair it gives a time to live to what has
    none, and adds and removes index entries; no session is changed.
    """

    name = "doctor"
    help = "check the store, and mend it"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--repair", action="store_true", help="mend what can be mended")
        parser.add_argument(
            "--fail-level",
            choices=list(_BAD),
            default="warning",
            help="what makes the exit code 1; warning if not said",
        )
        add_json(parser)

    def run(self, out: Output, options: dict[str, Any]) -> None:
        findings = []
        for finding in examine(site.store, options["repair"], lambda done: out.progress(done, "keys looked at")):
            findings.append(finding)
            if not out.is_json:
                _tell(out, finding)
        level = worst(findings)
        if out.is_json:
            told = [{**finding._asdict(), "level": finding.level.value} for finding in findings]
            out.json({"level": level.value, "findings": told})
        if level in _BAD[options["fail_level"]]:
            count = sum(finding.level in _BAD[options["fail_level"]] for finding in findings)
            not_there(
                "One thing is not as it should be." if count == 1 else f"{count} things are not as they should be."
            )


def _tell(out: Output, finding: Finding) -> None:
    out.close()
    style = getattr(out.style, _STYLES[finding.level])
    out.line(f"{style(finding.level.value.ljust(7))}  {finding.check.ljust(12)}  {printable(finding.found)}")
    if finding.advice:
        out.line(f"{'':23}→ {printable(finding.advice)}")
