"""What the figures come from: the parts whose speed is in them, without the name of any machine."""

from __future__ import annotations

import os
import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from django.db import connection

_PACKAGES = ("Django", "msgspec", "redis", "hiredis", "django-redis")


def description(client: Any, pinned: bool) -> dict[str, str]:
    """Words by what they describe; ``client`` is connected to the Redis that was used."""
    return {
        "processor": _processor(),
        "processors": f"{os.cpu_count()}, client and server on {'one' if pinned else 'any'} of them",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "Python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "Redis": _redis(client.info("server")),
        "database": _database(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _redis(info: dict[str, Any]) -> str:
    name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"
    return f"{name}, over TCP, without persistence"


def _database() -> str:
    if connection.vendor == "sqlite":
        return f"SQLite {sqlite3.sqlite_version}, WAL"
    connection.ensure_connection()
    return f"{connection.display_name} {'.'.join(map(str, connection.get_database_version()))}, no waiting for the disk"
