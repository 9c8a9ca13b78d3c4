"""Experiments: who is in which arm, what that arm sets, how the arms do, and when one must stop."""
