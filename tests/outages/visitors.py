"""Visitors who click through a shop and remember what they were told, and the journal of what was acknowledged."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.db import connections

from tests.web.browser import Answer, Ask, Browser, Headers
from typed_sessions import tokens

PATIENCE = 60
"""Seconds for which a visitor comes again after a 503."""
WORKERS = 20
"""Requests that the site serves at once."""


class Entry(NamedTuple):
    """One acknowledged write, or one loss that was told."""

    visitor: int
    what: str
    mark: str
    session_id: str


@dataclass
class Knowledge:
    """What a visitor knows to be in the session, and what may be: a 503 does not say whether it was done."""

    notes: str = ""
    cart: list[str] = field(default_factory=list)
    engraved: list[str] = field(default_factory=list)
    user: str = ""
    pending: set[str] = field(default_factory=set)

    def learns(self, what: str, mark: str) -> None:
        if what == "enter":
            self.notes = mark
        elif what == "sign-in":
            self.user = mark
        elif what != "look":
            marks = self.cart if what == "add" else self.engraved
            marks.append(mark)
        self.pending.discard(mark)

    def agrees_with(self, found: Any) -> bool:
        """Whether what was acknowledged is there, in its order, and nothing besides but what may be."""
        texts = all(text == self.notes or text in self.pending for text in found["notes"])
        lists = all(self._is_list(known, found[name]) for name, known in vars(self).items() if isinstance(known, list))
        return texts and lists and (found["user"] == self.user or found["user"] in self.pending)

    def _is_list(self, known: list[str], found: list[str]) -> bool:
        return found[: len(known)] == known and self.pending.issuperset(found[len(known) :])


class Journal:
    """Is only ever added to, and says how many entries of which kind there are."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._counts: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._error: BaseException | None = None

    def end(self, error: BaseException) -> None:
        """Nobody need wait any more."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def add(self, visitor: int, what: str, mark: str, session_id: str) -> None:
        with self._changed:
            self.entries.append(Entry(visitor, what, mark, session_id))
            self._counts[what] += 1
            self._changed.notify_all()

    def count(self, *kinds: str) -> int:
        return sum(self._counts[kind] for kind in kinds or self._counts)

    def wait(self, number: int, *kinds: str) -> None:
        """Until there are so many more entries of these kinds, or of any."""
        with self._changed:
            goal = self.count(*kinds) + number
            is_there = self._changed.wait_for(lambda: self._error or self.count(*kinds) >= goal, PATIENCE)
            if self._error:
                raise self._error
            assert is_there, (goal, self._counts)

    def of(self, what: str) -> list[str]:
        """The ids of the sessions to which it happened."""
        return [entry.session_id for entry in self.entries if entry.what == what]

    def knowledge_of(self, visitor: int) -> Knowledge:
        """What must be in the visitor's last session."""
        known = Knowledge()
        for entry in self.entries:
            if entry.visitor == visitor and entry.what in ("lost", "signed in unheard"):
                known = Knowledge()
            elif entry.visitor == visitor and entry.what == "refused":
                known.pending.add(entry.mark)
            elif entry.visitor == visitor:
                known.learns(entry.what, entry.mark)
        return known


EMPTY = {"notes": ["", ""], "cart": [], "engraved": [], "user": ""}


class Wrong(AssertionError):
    """A page that no visitor should see."""


@dataclass
class Visitor:
    """Number N goes through six pages; each third one signs in, each third one to stay."""

    number: int
    browser: Browser
    journal: Journal
    may_lose: bool
    """Whether the store may lose sessions, provided that it says so."""
    users_may_be_away: bool = False
    """Whether the database that has the users may not answer."""
    known: Knowledge = field(default_factory=Knowledge)
    random: Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = Random(self.number)

    @property
    def name(self) -> str:
        return f"visitor-{self.number}"

    @property
    def is_member(self) -> bool:
        return self.number % 3 > 0

    @property
    def session_id(self) -> str:
        if not self.browser.cookies.keys() & {"ss-id", "ss-pid"}:
            return ""
        token = tokens.read(self.browser.token)
        assert token
        return token.id

    def click_through(self) -> None:
        """The six pages."""
        self.enter()
        self.do("add")
        self.do("engrave")
        self.do("add")
        self.do("engrave")
        self.do("look")

    def enter(self) -> None:
        self.do("enter")
        if self.is_member:
            self.do("sign-in")

    def do(self, what: str) -> None:
        """Until it is done. Whoever is told that the session was lost begins anew, and goes on."""
        mark = self.name if what == "sign-in" else f"{self.name} {what} {self.random.random()}"
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self._think()
            if what == "engrave" and not self.known.cart:  # of the session before
                self.do("add")
            if self._does(what, mark):
                return
        raise Wrong(f"{self.name} could not {what} for {PATIENCE} s")

    def _think(self) -> None:
        time.sleep(self.random.uniform(0.005, 0.03))

    def _does(self, what: str, mark: str) -> bool:
        before = self.session_id
        query = {"mark": mark, "remember": "yes" if self.number % 3 == 2 else "no"}
        if self.known.user and what != "sign-in":
            query["members"] = "only"
        answer = self.browser.get(f"/{what}/?{urlencode(query)}")
        if answer.status == 503:
            self._is_to_come_again(answer)
        elif answer.status == 400 and self.may_lose:  # it went while the request was using it
            assert answer.ours == {}, answer
        elif answer.status == 302:
            self._is_sent_away(answer, before)
            return False
        elif answer.status == 500 and self._needs_users(what):  # the error is Django's, and ends no session either
            assert answer.ours == {}, answer
        elif answer.status == 200:
            return self._is_served(json.loads(answer.text), what, mark, before)
        else:
            raise Wrong(f"{self.name}: {answer}")
        self.known.pending.add(mark)
        self.journal.add(self.number, "refused", mark, before)
        return False

    def _needs_users(self, what: str) -> bool:
        return self.users_may_be_away and (what == "sign-in" or self.known.user != "")

    def _is_to_come_again(self, answer: Answer) -> None:
        assert answer.ours == {}, answer
        assert answer["Retry-After"] == "1"

    def _is_sent_away(self, answer: Answer, before: str) -> None:
        """Of a member, whose session must have been lost, and who begins anew with one sign-in."""
        self._begins_anew(answer["Location"].partition("why=")[2], before)
        self.enter()

    def _is_served(self, found: Any, what: str, mark: str, before: str) -> bool:
        status, session_id = found.pop("status"), found.pop("id")
        if before and session_id == before:
            if status != "live" or not self.known.agrees_with(found):
                raise Wrong(f"{self.name} has {found}, which is {status}, and knows {self.known}")
        else:
            assert (found, session_id) == (EMPTY, None), found
            if before:
                self._begins_anew(status, before)
            else:
                assert status == "fresh", status
        self._has_cookies_for(what, before, session_id)
        if what == "engrave" and not self.known.cart:
            return False  # there was nothing left to engrave
        self.known.learns(what, mark)
        self.journal.add(self.number, what, mark, self.session_id)
        if not self.known.notes:
            self.do("enter")
        return True

    def _has_cookies_for(self, what: str, before: str, found: str | None) -> None:
        """The token changes at a sign-in, and where there was no session, and at no other time."""
        changes = what == "sign-in" or found is None
        assert (self.session_id != before) == changes, (self.name, what, before, found, self.session_id)

    def _begins_anew(self, status: str, before: str) -> None:
        if status == "ended" and self.name in self.known.pending:
            what = "signed in unheard"  # the reply to a sign-in was lost, and nobody else knows the new token
        elif status == "lost" and self.may_lose:
            what = "lost"
        else:
            raise Wrong(f"{self.name} has lost {before}, and it is said to be {status}; {self.known}")
        if before not in self.journal.of(what):  # told at a page that has nothing to store, it may be told again
            self.journal.add(self.number, what, "", before)
        self.known = Knowledge()


class Site:
    """Serves so many requests at once, in threads that keep their connections as those of a server do."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._pool = ThreadPoolExecutor(WORKERS)

    def __call__(self, method: str, path: str, form: str, headers: Headers) -> Answer:
        return self._pool.submit(self._ask, method, path, form, headers).result()

    def close(self) -> None:
        """Ends the threads, and the connections of each."""
        at_once = threading.Barrier(WORKERS)

        def close_mine() -> None:
            at_once.wait(PATIENCE)
            connections.close_all()

        for closing in [self._pool.submit(close_mine) for _ in range(WORKERS)]:
            closing.result()
        self._pool.shutdown()


class Crowd:
    """Visitors, each in a thread of its own."""

    def __init__(self, size: int, site: Ask, may_lose: bool) -> None:
        self.journal = Journal()
        self.visitors = [Visitor(number, Browser(site), self.journal, may_lose) for number in range(size)]

    @contextmanager
    def clicking(self) -> Iterator[Journal]:
        """They come all at once; what happens in this block happens to them. Then all come once more."""
        with ThreadPoolExecutor(len(self.visitors)) as threads:
            clicking = [threads.submit(self._click, visitor) for visitor in self.visitors]
            yield self.journal
            for clicked in clicking:
                clicked.result()
        for visitor in self.visitors:
            visitor.do("look")

    def _click(self, visitor: Visitor) -> None:
        try:
            visitor.click_through()
        except BaseException as error:
            self.journal.end(error)
            raise
