"""A session object that belongs to no request is restrained by nobody."""

from __future__ import annotations

import pytest

from tests.sessions import CartLine, ShopSession
from typed_sessions.session import SessionFacts, _Detached


def test_object_of_ones_own() -> None:
    """What a test or a task makes for itself is changed at will."""
    session = ShopSession()
    session.currency = "USD"
    session.cart.append(CartLine("tea"))
    assert (session.currency, session.status.value, session.is_new) == ("USD", "fresh", True)


def test_nobody_refuses() -> None:
    """Its facts know no restraint, so there is no error to make of one."""
    facts: SessionFacts = _Detached()
    assert facts.restraint is None
    with pytest.raises(NotImplementedError):
        facts.refusal(["currency"])
