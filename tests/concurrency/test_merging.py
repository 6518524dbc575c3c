"""Two requests that both save: what both have changed is kept, by the rule of each field (REQ-R26)."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.concurrency.classes import OpenTab, Tab
from tests.concurrency.interleavings import Race
from tests.concurrency.stored import fields_of, stored, writes
from typed_sessions.backends.base import Commit, SessionStore
from typed_sessions.exceptions import SessionConflict
from typed_sessions.testing.engines import Verbs

pytestmark = pytest.mark.django_db(transaction=True)


def last_to_write(race: Race) -> str:
    """Whose save was the last in the round: the other one has had no conflict, or has got over it."""
    return [step.split()[0] for step in race.trace if step.endswith((" SAVE", " UPDATE"))][-1]


def test_r26_different_fields(race: Race, open_tab: OpenTab, engine: type[SessionStore]) -> None:
    """Different fields of the dataclass, and different keys of the bag, are all kept, with a second try at most."""
    for round in race:
        key = stored(engine, cart=["book"])

        def change(field: str, value: object, key: str = key) -> None:
            session = open_tab(key).bind()
            setattr(session.typed, field, value)
            session[f"{field} too"] = value
            session.commit()

        done = round.run(
            one=lambda c=change: c("name", "ada"),  # type: ignore[misc]
            other=lambda c=change: c("cart", ["book", "pen"]),  # type: ignore[misc]
        )
        assert [outcome.value for outcome in done.values()] == [None, None]
        typed = fields_of(engine, key)
        assert (typed.name, typed.cart) == ("ada", ["book", "pen"])
        bag = dict(engine(key).items())
        assert bag == {"kept": "in the bag", "name too": "ada", "cart too": ["book", "pen"]}
        round.count(str(sorted((writes(round, "one"), writes(round, "other")))))
    assert set(race.outcomes) == {"[1, 1]", "[1, 2]"}


def test_r26_every_rule(race: Race, open_tab: OpenTab, engine: type[SessionStore]) -> None:
    """Each rule gives what it promises, whoever comes first: sums, extremes, unions, what was appended, a function's
    choice; and without a rule the later save.
    """
    for round in race:
        dice = random.Random(round.ran)
        start, best, lowest = dice.randrange(9), dice.randrange(20, 30), dice.randrange(20, 30)
        trail = [str(number) for number in range(dice.randrange(3))]
        key = stored(engine, views=start, best=best, lowest=lowest, trail=trail, visited={"/"}, motto="m")
        draws = {name: (dice.randrange(1, 9), dice.randrange(50), dice.randrange(50)) for name in ("one", "other")}

        def change(name: str, key: str = key, draws: dict[str, tuple[int, int, int]] = draws) -> None:
            session = open_tab(key).bind()
            typed = session.typed
            views, high, low = draws[name]
            typed.views += views
            assert typed.best is not None and typed.lowest is not None
            typed.best, typed.lowest = max(typed.best, high), min(typed.lowest, low)
            typed.visited |= {"/both", f"/{name}"}
            typed.seen_ads[name] = views
            typed.trail.append(name)
            typed.motto = max(typed.motto, "motto " + name, key=len)
            typed.name = session["name"] = name
            session.commit()

        done = round.run(one=lambda c=change: c("one"), other=lambda c=change: c("other"))  # type: ignore[misc]
        assert [outcome.value for outcome in done.values()] == [None, None]
        typed, last = fields_of(engine, key), last_to_write(round)
        first = "one" if last == "other" else "other"
        assert typed.views == start + sum(draw[0] for draw in draws.values())
        assert typed.best == max(best, *(draw[1] for draw in draws.values()))
        assert typed.lowest == min(lowest, *(draw[2] for draw in draws.values()))
        assert typed.visited == {"/", "/both", "/one", "/other"}
        assert typed.seen_ads == {name: draw[0] for name, draw in draws.items()}
        assert typed.trail == [*trail, first, last]
        assert typed.motto == "motto other"
        assert typed.name == engine(key)["name"] == last
        round.count(last)
    assert set(race.outcomes) == {"one", "other"}


def test_r26_refused(race: Race, open_tab: OpenTab, engine: type[SessionStore]) -> None:
    """Where two changes are refused, one of the requests gets a conflict with the field's name, and nothing of it is
    stored; unless it had seen what the other has stored.
    """
    for round in race:
        key = stored(engine, note="before")

        def change(name: str, key: str = key) -> str:
            session = open_tab(key).bind()
            seen: str = session.typed.note
            session.typed.note = session.typed.name = name
            session.commit()
            return seen

        done = round.run(one=lambda c=change: c("one"), other=lambda c=change: c("other"))  # type: ignore[misc]
        lost = [outcome.error for outcome in done.values() if outcome.error]
        typed, last = fields_of(engine, key), last_to_write(round)
        if lost:
            (error,) = lost
            assert isinstance(error, SessionConflict) and list(error.fields) == ["note"]
            winner = "one" if done["other"].error else "other"
            assert done[winner].value == "before"
            assert (typed.note, typed.name) == (winner, winner)
        else:
            first = "one" if last == "other" else "other"
            assert (done[first].value, done[last].value) == ("before", first)
            assert (typed.note, typed.name) == (last, last)
        round.count("refused" if lost else "one after the other")
    assert set(race.outcomes) == {"refused", "one after the other"}


def test_r26_three_that_count(race: Race, engine: type[SessionStore]) -> None:
    """Of three that count in one session each count is there in the end, in the dataclass and by hand in the bag."""
    race.rounds = 300
    tries: Counter[int] = Counter()
    for round in race:
        key = stored(engine, views=10)

        def count(session: Tab) -> None:
            session.typed.views += 1
            session.typed.trail.append("step")
            session[str(id(session))] = "counted"
            session.commit()

        sessions = [Tab(engine(key)).bind() for _ in range(3)]
        for session in sessions:
            assert session.typed.views == 10
        done = round.run(**{f"lane{at}": lambda s=s, c=count: c(s) for at, s in enumerate(sessions)})
        assert {outcome.value for outcome in done.values()} == {None}
        typed = fields_of(engine, key)
        assert (typed.views, typed.trail) == (13, ["step"] * 3)
        assert len(engine(key).keys()) == 4
        tries.update(writes(round, f"lane{at}") for at in range(3))
    assert set(tries) == {1, 2, 3}


COMMANDS = {
    "redis": (["GET", "SAVE"], ["GET", "SAVE", "SAVE"]),
    "db": (["SELECT", "UPDATE"], ["SELECT", "UPDATE", "SELECT", "UPDATE"]),
    "cached_db": (
        ["GET", "SELECT", "SET", "SET", "UPDATE"],
        ["GET", "SELECT", "SET", "SET", "UPDATE", "SELECT", "SET", "UPDATE"],
    ),
}
"""What a request that changes a session asks: without a conflict, and with one."""


def test_a_conflict_costs_one_more_round_trip(
    race: Race, open_tab: OpenTab, engine: type[SessionStore], verbs: Verbs
) -> None:
    """A load and a save without a conflict; and with one the same save again, for which nothing has to be loaded."""
    alone, conflict = COMMANDS[engine.__module__.rpartition(".")[2]]

    def count(key: str) -> Commit:
        session = open_tab(key).bind()
        session.typed.views += 1
        commit: Commit = session.commit()
        return commit

    for round in race:
        key = stored(engine)
        verbs.take()
        done = round.run(one=lambda k=key: count(k), other=lambda k=key: count(k))  # type: ignore[misc]
        assert [outcome.value for outcome in done.values()] == [Commit.SAVED] * 2
        both = [round.commands(name) for name in done]
        if alone[0] == "GET" and len(alone) > 2:
            # A copy is made by whoever finds neither a copy nor a mark, and is read by whoever comes before the mark.
            assert [sum(command == "UPDATE" for command in commands) for commands in both] in ([1, 1], [1, 2], [2, 1])
        else:
            assert sorted(both, key=len) in ([alone, alone], [alone, conflict])
        asked = Counter(verbs.take())
        conflicts = sum(writes(round, name) - 1 for name in done)
        assert asked == {"load": 2, "save": 2 + conflicts}
        round.count(f"{conflicts} conflicts")
    assert set(race.outcomes) == {"0 conflicts", "1 conflicts"}
    key = stored(engine)
    assert race.alone(lambda: count(key))[1] == alone
