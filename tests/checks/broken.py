"""A module of a project that cannot be imported, and not because something is not there."""

raise RuntimeError("this module is broken")
