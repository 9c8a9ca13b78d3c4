"""Policies: one YAML file each, read whole, refused whole, swapped whole."""
