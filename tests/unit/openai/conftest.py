"""Hypothesis without a clock: the first import of the SDK's types would count against one example."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
