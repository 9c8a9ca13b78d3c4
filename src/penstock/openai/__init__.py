"""The wire: OpenAI's requests, replies, event streams and usage."""
