"""Telemetry: every metric name in one file, and logs that can hold no content."""
