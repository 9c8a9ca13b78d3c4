"""Feedback: what was decided, what clients said of the answer, and what their next request says of it."""
