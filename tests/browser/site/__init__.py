"""A project with the admin page, and what its tests need to prepare it."""
