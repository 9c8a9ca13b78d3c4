"""Work on a timer, done by one process at a time."""
