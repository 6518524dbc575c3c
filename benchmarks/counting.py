"""What an operation costs in round trips, statements and bytes: exact, and free of noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from .relay import Relay

_CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET ")
"""Not counted: some databases get these as statements and some by other means."""


@dataclass(frozen=True)
class Counts:
    trips: int
    """To Redis; a script or a pipeline is one."""
    statements: int
    """SQL, without the control of transactions."""
    sent: int
    """Bytes to Redis."""
    received: int
    """Bytes from Redis."""

    def __str__(self) -> str:
        parts = [f"{self.trips}r"] if self.trips else []
        parts += [f"{self.statements}q"] if self.statements else []
        return "+".join(parts) or "0"


class Counter:
    """Counts what goes through ``relay`` and every database connection of the process."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._statements = 0
        connection_created.connect(self._attach, weak=False)

    def of(self, operation: Callable[[], object]) -> Counts:
        self._relay.reset()
        self._statements = 0
        operation()
        return Counts(self._relay.trips, self._statements, self._relay.sent, self._relay.received)

    def _attach(self, *, connection: BaseDatabaseWrapper, **_: object) -> None:
        connection.execute_wrappers.append(self._execute)

    def _execute(self, execute: Callable[..., Any], sql: str, params: object, many: bool, context: object) -> Any:
        self._statements += not sql.startswith(_CONTROL)
        return execute(sql, params, many, context)
