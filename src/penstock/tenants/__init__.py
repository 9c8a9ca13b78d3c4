"""Tenants: who pays, what they may use, and the keys they show."""
