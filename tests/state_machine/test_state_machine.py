"""Whatever requests, staff, time and faults do to sessions, in any order, on every store (requirements, part 4)."""

from __future__ import annotations

import os

from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from tests.state_machine.machine import SessionMachine
from tests.state_machine.visits import Stage

USUAL = 200
EXAMPLES = int(os.environ.get("TYPED_SESSIONS_EXAMPLES", USUAL))
"""Each of 50 steps. The usual ones are always the same; more, or less, are others each time."""

COMES_ABOUT = {
    *("create: bool", "load: Record", "load: Tombstone", "load: NoneType", "end: Record", "touch: bool"),
    *("save: Saved", "save: Conflict", "save: Gone", "save: Crash", "save: StoreUnavailable"),
    *("replace: Saved", "replace: Conflict", "replace: Gone"),
    *("UpdateError", "SessionBusy"),
}


def test_invariants_hold(stage: Stage) -> None:
    """Dead tokens stay dead (I3), what is read is what was acknowledged (I6) and counted (I7), nothing else is there
    (I8), tokens are new (I4), and nothing fails without a reason (I14), in every order that the machine tries.
    """
    machine = type("Machine", (SessionMachine,), {"stage": stage})
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=EXAMPLES,
            stateful_step_count=50,
            deadline=None,
            derandomize=EXAMPLES == USUAL,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
    missing = COMES_ABOUT - stage.seen.keys()
    assert EXAMPLES < USUAL or not missing, (
        f"The machine does not get to {missing}, only to {dict(sorted(stage.seen.items()))}"
    )
