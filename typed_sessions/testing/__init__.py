"""What the tests of a project, or of a store of its own, need of this app."""

from contextlib import suppress

with suppress(ImportError):
    import pytest

    # Before the modules are imported, so that a failing assert of the contract shows the values.
    pytest.register_assert_rewrite("typed_sessions.testing.stores", "typed_sessions.testing.engines")
