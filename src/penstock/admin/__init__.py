"""The admin process: health, readiness and metrics on a port of its own. It only reads."""
