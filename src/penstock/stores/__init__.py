"""Stores: one protocol, SQLite and Redis behind it, and the keyring that seals what they hold."""
