"""Penstock: a chain of stages between an OpenAI SDK and its providers."""
