"""Runs of a layout: watch, stop, resume, repeat and verify them."""
