"""Which database the running test uses: SQLite, or PostgreSQL if it is marked `postgres`."""

from typing import Any

# Not a context variable: threads and event loops that a test starts have to see it too.
alias = "default"


class ActiveDatabase:
    def db_for_read(self, model: type, **hints: Any) -> str:
        return alias

    db_for_write = db_for_read
