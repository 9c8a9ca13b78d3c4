"""The admin process: health, metrics, and the API of budgets, experiments and the router; its own port."""
