"""The engines' contract on every engine, and what only some of them promise."""
