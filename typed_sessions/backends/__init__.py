"""The session engines: values for ``SESSION_ENGINE``."""
