"""A small shop, to see and to try what typed sessions do."""
