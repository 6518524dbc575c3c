"""Programs that use the shop's API."""
