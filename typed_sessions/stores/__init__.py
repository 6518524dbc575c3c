"""Where records are kept. A store knows records and ids; nothing of dataclasses, tokens, cookies or requests."""
