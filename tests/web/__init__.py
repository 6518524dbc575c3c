"""Requests and responses: cookies, sign-in and sign-out, signals and hooks, through Django's own handlers."""
