"""What tests of stores look at and break: the commands that reach a server, its keys, and the way to it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from tests.servers.redis import RedisServer
from typed_sessions import clock
from typed_sessions.stores.base import Store
from typed_sessions.stores.record import Record
from typed_sessions.stores.redis_keys import RedisKeys
from typed_sessions.testing.stores import created, new_record

if TYPE_CHECKING:
    from typing_extensions import Self

NAMES = RedisKeys("")
"""The keys of a store whose cache has no KEY_PREFIX."""
_HANDSHAKE = frozenset({"HELLO", "CLIENT", "AUTH", "SELECT", "CLUSTER", "COMMAND", "INFO", "PING"})


class Commands(list[str]):
    """Names of the commands that clients sent; ``inside`` are those that scripts called."""

    def __init__(self) -> None:
        super().__init__()
        self.inside: list[str] = []


@contextmanager
def commands(server: RedisServer) -> Iterator[Commands]:
    """The commands that the server gets in this block, but for those by which a connection begins."""
    seen = Commands()
    client: Any = server.client()  # redis-py's monitor has no types
    with client.monitor() as monitor:
        yield seen
        server.run("ECHO", "that is all")
        for command in monitor.listen():
            name = command["command"].split()[0].upper()
            if name == "ECHO":
                break
            if command["client_type"] == "lua":
                seen.inside.append(name)
            elif name not in _HANDSHAKE:
                seen.append(name)


def keys(server: RedisServer) -> dict[str, int]:
    """Every key of the server and the seconds that it has to live; -1 if it lives for ever."""
    client = server.client()
    return {key.decode(): int(client.ttl(key)) for key in client.scan_iter(count=1000)}


def index_of(record: Record) -> set[str]:
    """The keys by which a session is found, without a KEY_PREFIX: two lists, and those of its user and addresses."""
    return {*NAMES.lists_of(record), *NAMES.owners_of(record)}


def index_keys(server: RedisServer) -> set[str]:
    """What the server has of those keys, of whatever sessions."""
    return {key for key in keys(server) if NAMES.is_own(key)} - {key for key in keys(server) if is_tally(key)}


def is_tally(key: str) -> bool:
    return key.startswith(NAMES.tally(0)[:-1])


def goes_by_itself(key: str) -> bool:
    """Whether nobody has to put away what is in there when a session is over."""
    return is_tally(key) or key == NAMES.samples or key.startswith((NAMES.users, NAMES.addresses))


def listed(store: Store, number: int, **changes: Any) -> list[str]:
    """The ids of as many new sessions, the one last used first; three of them in every second."""
    now = clock.now()
    records = [created(store, new_record(store, seen=now - 10 - n // 3, **changes)) for n in range(number)]
    return [record.id for record in sorted(records, key=lambda record: (record.seen, record.id), reverse=True)]


def clients(server: RedisServer) -> int:
    """How many connections the server has."""
    return len(server.client().client_list())


class LossyProxy:
    """A TCP door to a server on a Unix socket that can lose a reply after the server has done what was asked."""

    def __init__(self, server: RedisServer) -> None:
        self._server = str(server.home / "redis.sock")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._loses = threading.Event()
        self._sockets: list[socket.socket] = [self._listener]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def lose_next_reply(self) -> None:
        """To a script: the reply to a greeting is not what is at stake."""
        self._loses.set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for open_socket in self._sockets:
            _hang_up(open_socket)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            self._sockets += [client, server]
            try:
                server.connect(self._server)
            except OSError:
                _hang_up(client)
                continue
            doomed = threading.Event()
            for pump, source, sink in ((self._requests, client, server), (self._replies, server, client)):
                threading.Thread(target=pump, args=(source, sink, doomed), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket, doomed: threading.Event) -> None:
        for data in _received(client):
            if b"EVAL" in data and self._loses.is_set():
                self._loses.clear()
                doomed.set()
            server.sendall(data)
        _hang_up(server)

    def _replies(self, server: socket.socket, client: socket.socket, doomed: threading.Event) -> None:
        for data in _received(server):
            if doomed.is_set():
                break
            client.sendall(data)
        _hang_up(client)


def _received(source: socket.socket) -> Iterator[bytes]:
    try:
        while data := source.recv(65_536):
            yield data
    except OSError:
        return


def _hang_up(open_socket: socket.socket) -> None:
    with suppress(OSError):  # the other side may have been first
        open_socket.shutdown(socket.SHUT_RDWR)
    open_socket.close()


class OwnTime:
    """In place of the module `time`: time passes while somebody sleeps, after which something `happens`."""

    def __init__(self, happens: Callable[[], object] = int) -> None:
        self.now = 1000.0
        self.begun = self.now
        self.happens = happens

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.happens()

    @property
    def passed(self) -> float:
        return self.now - self.begun
