"""The door through mitmproxy: the only room that imports it."""
