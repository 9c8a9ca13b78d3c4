"""Routing: which model answers, how sure that is, and what was learned."""
