"""What the tests of engines share."""

from __future__ import annotations

from tests.engines.rows import configure, use_engine

__all__ = ["configure", "use_engine"]
