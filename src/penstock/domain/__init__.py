"""Pure functions and frozen values: no I/O, no await, no time, no randomness."""
