"""The sample upstream: an OpenAI-compatible server with correct answers and scripted faults."""

from penstock.sample.server import Running, serve
from penstock.sample.tally import Seen, Settings

__all__ = ["Running", "Seen", "Settings", "serve"]
