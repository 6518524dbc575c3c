"""``manage.py typed_sessions``: the stored sessions, for those who run the site."""
