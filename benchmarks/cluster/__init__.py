"""Layouts on several workers: measured on this machine, and what larger ones would need."""
