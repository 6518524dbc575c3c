"""Whatever requests, staff, time and faults do to sessions, in any order, on every store (requirements, part 4)."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from tests.state_machine.conftest import rows
from tests.state_machine.gate import Fault, Kind
from tests.state_machine.machine import SessionMachine
from tests.state_machine.model import IDLE
from tests.state_machine.visits import ALL, Stage
from typed_sessions import SessionMode

USUAL = 200
EXAMPLES = int(os.environ.get("TYPED_SESSIONS_EXAMPLES", USUAL))
"""Each of 50 steps. The usual ones are always the same; more, or less, are others each time."""

NEWEST = (0, 10_000, False, True, False)
"""A visitor with the newest token, and no other."""

COMES_ABOUT = {
    *("create: bool", "load: Record", "load: Tombstone", "load: NoneType", "end: Record", "touch: bool"),
    *("save: Saved", "save: Conflict", "save: Gone"),
    *("replace: Saved", "replace: Conflict", "replace: Gone"),
    "UpdateError",
}


def test_invariants_hold(stage: Stage, database_alias: str) -> None:
    """Dead tokens stay dead (I3), what is read is what was acknowledged (I6) and counted (I7), nothing else is there
    (I8), tokens are new (I4), and nothing fails without a reason (I14), in every order that the machine tries.
    """
    machine = type("Machine", (SessionMachine,), {"stage": stage})
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=EXAMPLES // 2 if database_alias == "postgres" else EXAMPLES,  # it is the slowest
            stateful_step_count=50,
            deadline=None,
            derandomize=EXAMPLES == USUAL,
            print_blob=True,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
    missing = COMES_ABOUT - stage.seen.keys()
    assert EXAMPLES < USUAL or not missing, (
        f"The machine does not get to {missing}, only to {dict(sorted(stage.seen.items()))}"
    )


def machine_on(stage: Stage) -> SessionMachine:
    """One whose steps are taken one by one."""
    machine: SessionMachine = type("Machine", (SessionMachine,), {"stage": stage})()
    return machine


@pytest.mark.parametrize("row", rows("redis"), indirect=True)
def test_machine_gets_to_what_is_rare(stage: Stage) -> None:
    """A few steps in the right order lead to a lost lease, to one that waits in vain, and to two who change what only
    one may.
    """
    machine = machine_on(stage)
    machine.somebody_is_there(is_async=False)
    for nth in range(2):
        machine.wait(60)
        machine.arrive(NEWEST, [], Fault())
        machine.work(nth, [], "take", ALL, Fault())
    machine.visit(NEWEST, [], "take", Fault())
    machine.work(0, ["order"], "commit", ALL, Fault())
    machine.meet(NEWEST, (["fill in"], ["fill in"]), ("commit", "commit"), 0, False, ALL, Fault())
    machine.stored_is_what_was_acknowledged()
    machine.teardown()
    assert {"SessionLeaseLost", "SessionBusy", "SessionConflict"} <= stage.seen.keys()


@pytest.mark.parametrize(
    ("then", "verb"), [("save", "save"), ("take", "save"), ("flush", "end"), ("cycle", "replace"), ("7", "replace")]
)
def test_each_command_can_fail(stage: Stage, then: str, verb: str) -> None:
    """Whatever befalls the first commands of a verb, what is stored is what was, or what was asked for."""
    machine = machine_on(stage)
    for kind in Kind:
        for at in range(8):
            fault = Fault(kind, at, "commit")
            machine.somebody_is_there(is_async=bool(at % 2))
            machine.meet(NEWEST, (["count", "visit"], ["count", "go"]), ("commit", then), 0, False, ALL, fault)
            machine.visit(NEWEST, ["count"], then, fault)
            machine.stored_is_what_was_acknowledged()
            machine.wait(31)
        machine.wait(IDLE[SessionMode.PERM])
    machine.teardown()
    assert {f"{verb}: Crash", f"{verb}: Cancelled", f"{verb}: StoreUnavailable"} <= stage.seen.keys()


@pytest.mark.parametrize("row", rows("cached_db"), indirect=True)
def test_copies_may_come_late(stage: Stage) -> None:
    """A reader's copy that gets to the cache after a save, or an end, is not what others read."""
    machine = machine_on(stage)
    for then in ("save", "flush"):
        machine.somebody_is_there(is_async=False)
        machine.meet(NEWEST, (["count"], []), (then, "commit"), 0, False, ALL, Fault(Kind.POSTPONED))
        machine.visit(NEWEST, ["count"], "commit", Fault())
    machine.teardown()
