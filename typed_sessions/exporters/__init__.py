"""What hands the counters of ``typed_sessions.telemetry`` to others, one module for each; each needs its package."""
