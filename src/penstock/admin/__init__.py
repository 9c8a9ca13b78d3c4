"""The admin process: health, readiness, metrics and the API of budgets, on a port of its own."""
