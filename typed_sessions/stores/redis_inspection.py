"""What a Redis holds of sessions, key by key, and what it says of itself: for commands, never for a request.

It scans in batches, so it takes its time on a large store, and never holds the server up. What the connection's user
may not ask raises ``StoreUnavailable``, as everything does that Redis refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import clock, conf
from ..exceptions import StoreUnavailable, UnreadableRecord
from ..tokens import is_well_formed
from . import wire
from .record import GRACE, LINGER, TOMBSTONE_LIFE, Record, Tombstone
from .redis import RedisStore
from .redis_connection import store_errors
from .scripts import RESERVED, Command

_BATCH = 500
"""Keys or index entries that are looked at in one round trip."""
_EXAMPLES = 3
_HEAD = 23
"""The last of the bytes that tell a record from a tombstone."""
_PROBE_LIFE = 10

# A key that was given a time to live since it was looked at keeps that one.
_MAKE_MORTAL = """
if redis.call('TTL', KEYS[1]) ~= -1 then return 0 end
return redis.call('EXPIRE', KEYS[1], ARGV[1])
"""


@dataclass
class Trouble:
    """How many keys or entries have one thing wrong with them, how many of those were mended, and a few names."""

    count: int = 0
    mended: int = 0
    examples: list[str] = field(default_factory=list)

    def note(self, name: str, is_mended: object) -> None:
        self.count += 1
        self.mended += bool(is_mended)
        if len(self.examples) < _EXAMPLES:
            self.examples.append(name)


@dataclass
class Survey:
    """Every key of sessions, looked at once."""

    records: int = 0
    tombstones: int = 0
    entries: int = 0
    """Of all index keys together."""
    immortal: Trouble = field(default_factory=Trouble)
    """Keys without a time to live."""
    unreadable: Trouble = field(default_factory=Trouble)
    """Keys of records that hold none."""
    unindexed: Trouble = field(default_factory=Trouble)
    """Records that the index does not lead to."""
    dangling: Trouble = field(default_factory=Trouble)
    """Index entries that lead to no record."""


class RedisInspection:
    """``progress`` is called now and then with the number of keys that ``survey`` has looked at."""

    def __init__(self, store: RedisStore, progress: Callable[[int], object] = lambda done: None) -> None:
        self._store = store
        self._progress = progress
        self._names = store._names
        self._root = self._names.root
        self._mends = False

    # What the server says of itself

    def info(self, section: str) -> list[dict[str, Any]]:
        """A section of ``INFO``, of every node that takes writes."""
        with store_errors():
            return [node.info(section) for node in self._nodes()]

    def config(self, name: str) -> list[str]:
        """One value of the configuration, of every node that takes writes."""
        with store_errors():
            return [str(node.config_get(name).get(name, "")) for node in self._nodes()]

    def probes(self) -> dict[str, Callable[[], object]]:
        """A write, a read and a delete of a key that is no session's, to be called in this order."""
        key, value = self._root + "probe", b"probe"
        return {
            "write": lambda: self._ask("SET", key, value, "EX", _PROBE_LIFE),
            "read": lambda: self._ask("GET", key),
            "delete": lambda: self._ask("DEL", key),
        }

    # What the index says

    def overdue(self, now: int) -> tuple[int, int | None]:
        """How many sessions have expired and been claimed by nobody, and when the first of them did."""
        lists = self._names.all_expiry
        count = sum(self._pipelined([("ZCOUNT", key, "-inf", f"({now - GRACE}") for key in lists]))
        pages = self._pipelined([("ZRANGE", key, 0, 0, "WITHSCORES") for key in lists]) if count else []
        return count, min((int(float(_flat(page)[1])) for page in pages if page), default=None)

    def claimed(self) -> int:
        """How many ends somebody is about to announce."""
        return int(self._ask("ZCARD", self._names.claimed))

    # The survey

    def survey(self, mend: bool = False) -> Survey:
        """Looks at every key once; with ``mend`` gives a time to live, and adds and removes index entries."""
        self._mends = mend
        survey, done = Survey(), 0
        for keys in self._batches():
            names = {key: key[len(self._root) :] for key in keys}
            self._look_at_lives(survey, keys)
            self._look_at_records(survey, [name for name in names.values() if is_well_formed(name)])
            self._look_at_entries(survey, [key for key in keys if self._names.has_members(key)])
            done += len(keys)
            self._progress(done)
        return survey

    def _look_at_lives(self, survey: Survey, keys: Sequence[str]) -> None:
        lives = self._pipelined([("TTL", key) for key in keys])
        for key, life in zip(keys, lives, strict=True):
            if life == -1:
                # Whose key it is that is neither a session nor our index, nobody here knows.
                is_ours = self._names.is_own(key) or is_well_formed(key[len(self._root) :])
                survey.immortal.note(key, is_ours and self._mended(self._make_mortal, key))

    def _make_mortal(self, key: str) -> bool:
        return bool(self._ask("EVAL", _MAKE_MORTAL, 1, key, self._due_life(key)))

    def _due_life(self, key: str) -> int:
        """The seconds for which a key without a time to live may stay."""
        settings, now = conf.settings(), clock.now()
        longest = LINGER + max(settings.temp_seconds, settings.perm_seconds)
        session_id = key[len(self._root) :]
        if not is_well_formed(session_id):
            return self._due_life_of_index(key, longest)
        try:
            found = self._store.load(session_id)
        except UnreadableRecord:
            return longest
        # One that has expired waits for whoever announces it.
        return max(LINGER, found.expires + LINGER - now) if isinstance(found, Record) else TOMBSTONE_LIFE

    def _due_life_of_index(self, key: str, longest: int) -> int:
        if self._ask("TYPE", key) not in (b"zset", "zset"):
            return longest
        last = _flat(self._ask("ZRANGE", key, -1, -1, "WITHSCORES"))
        return longest + max(0, int(float(last[1])) - clock.now())

    def _look_at_records(self, survey: Survey, session_ids: Sequence[str]) -> None:
        values = self._pipelined([("GET", self._root + session_id) for session_id in session_ids])
        records = []
        for session_id, value in zip(session_ids, values, strict=True):
            try:
                found = None if value is None else wire.decode(session_id, value)
            except UnreadableRecord:
                survey.unreadable.note(session_id, is_mended=False)
                continue
            survey.tombstones += isinstance(found, Tombstone)
            if isinstance(found, Record):
                records.append(found)
        survey.records += len(records)
        # Again, as sessions begin and end while they are looked at.
        suspects = self._unindexed(self._again(self._unindexed(records)))
        for record in suspects:
            survey.unindexed.note(record.id, self._mended(self._index, record))

    def _index(self, record: Record) -> bool:
        """A touch writes the index, and nothing else, if the record has its clocks already."""
        return self._store.touch(record, record.seen, record.expires)

    def _again(self, records: Sequence[Record]) -> Sequence[Record]:
        return self._store.load_many([record.id for record in records]) if records else ()

    def _unindexed(self, records: Sequence[Record]) -> list[Record]:
        now = clock.now()
        # One that is overdue has nobody to list it for, but whoever announces its end.
        wanted = [
            (key, record)
            for record in records
            for key in (self._names.lists_of(record) if record.is_live(now) else self._names.lists_of(record)[1:])
        ]
        wanted += [(key, record) for record in records if record.is_live(now) for key in self._names.owners_of(record)]
        scores = self._pipelined([("ZSCORE", key, record.id) for key, record in wanted])
        lacking = {record.id for (_, record), score in zip(wanted, scores, strict=True) if score is None}
        return [record for record in records if record.id in lacking]

    def _look_at_entries(self, survey: Survey, keys: Sequence[str]) -> None:
        for entries in self._entries(keys):
            survey.entries += len(entries)
            for key, member in self._dangling(self._dangling(entries)):
                survey.dangling.note(member, self._mended(self._ask, "ZREM", key, member))

    def _entries(self, keys: Sequence[str]) -> Iterator[list[tuple[str, str]]]:
        """Keys and members; of most keys, which are those of users, there are few."""
        cursors: dict[str, Any] = dict.fromkeys(keys, 0)
        while cursors:
            replies = self._pipelined([("ZSCAN", key, cursor, "COUNT", _BATCH) for key, cursor in cursors.items()])
            pages = [(key, reply) for key, reply in zip(cursors, replies, strict=True) if not _is_error(reply)]
            entries = [(key, _text(member)) for key, (_, page) in pages for member in _flat(page)[::2]]
            # What is kept free for a sign-in that is under way is no session.
            yield [(key, member) for key, member in entries if not member.startswith(RESERVED)]
            cursors = {key: cursor for key, (cursor, _) in pages if int(cursor)}

    def _dangling(self, entries: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """The entries that are still there, and what they lead to is not.

        A user's key keeps those of expired sessions for a while, and nobody reads them.
        """
        heads = self._pipelined([("GETRANGE", self._root + member, 0, _HEAD) for _, member in entries])
        gone = [entry for entry, head in zip(entries, heads, strict=True) if not self._leads_to(entry[0], head)]
        scores = self._pipelined([("ZSCORE", *entry) for entry in gone])
        now = clock.now()
        return [
            entry
            for entry, score in zip(gone, scores, strict=True)
            if score and float(score) > (now if entry[0].startswith(self._names.users) else 0)
        ]

    def _leads_to(self, key: str, head: object) -> bool:
        """``claimed`` leads to tombstones, every other key to records. What is no text at all leads nowhere."""
        if not isinstance(head, bytes) or not head:
            return False
        return (b"seen" in head) is (key != self._names.claimed)

    def _mended(self, mend: Callable[..., object], *args: object) -> bool:
        """Whether ``mend`` has done something; who is not allowed to may still look at the rest."""
        try:
            return self._mends and bool(mend(*args))
        except StoreUnavailable:
            return False

    # The connection

    def _nodes(self) -> list[Any]:
        client = self._store._client
        if not self._store._is_cluster:
            return [client]
        return [client.get_redis_connection(node) for node in client.get_primaries()]

    def _batches(self) -> Iterator[list[str]]:
        pattern = re.sub(r"([\\*?\[\]])", r"\\\1", self._root) + "*"
        for node in self._nodes():
            cursor = 0
            while True:
                with store_errors():
                    cursor, keys = node.scan(cursor, match=pattern, count=_BATCH)
                if keys:
                    yield [_text(key) for key in keys]
                if not cursor:
                    break

    def _ask(self, name: str, *arguments: Any) -> Any:
        return self._store._execute(Command(name, (), arguments))

    def _pipelined(self, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
        """The replies; an error in place of a reply is raised, unless it is about a key of another type."""
        with store_errors():
            pipeline = self._store._client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            replies = pipeline.execute(raise_on_error=False)
            for reply in replies:
                if _is_error(reply) and not str(reply).startswith("WRONGTYPE"):
                    raise reply
        return list(replies)


def _is_error(reply: Any) -> bool:
    return isinstance(reply, Exception)


def _text(part: Any) -> str:
    return part.decode(errors="replace") if isinstance(part, bytes) else str(part)


def _flat(reply: Iterable[Any]) -> list[Any]:
    """Members and scores in turn, which a newer protocol nests, and a client may have paired."""
    return [part for each in reply for part in (each if isinstance(each, list | tuple) else (each,))]
