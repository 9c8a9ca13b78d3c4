"""The stages: one file each. None knows another."""
