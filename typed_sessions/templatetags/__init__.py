"""What templates may say of a session: ``{% load typed_sessions %}``."""
