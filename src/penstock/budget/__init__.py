"""Budgets: which limits a request stands under, what it needs of them, and what its tenant is told."""
