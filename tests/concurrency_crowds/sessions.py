"""A session in which each of many workers has a field of its own."""

from __future__ import annotations

from dataclasses import make_dataclass

from tests.sessions import ShopSession

CROWD = 64

FIELDS = tuple(f"field_{number}" for number in range(CROWD))

CrowdSession = make_dataclass("CrowdSession", [(name, int, 0) for name in FIELDS], bases=(ShopSession,))
CrowdSession.__module__ = __name__
