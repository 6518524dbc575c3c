"""What the tests of the core share: both formats."""

from __future__ import annotations

import pytest

from typed_sessions.formats import JSON, MSGPACK, Format


@pytest.fixture(params=[JSON, MSGPACK], ids=lambda format: format.name)
def format(request: pytest.FixtureRequest) -> Format:
    """Each way to write a record."""
    chosen: Format = request.param
    return chosen
