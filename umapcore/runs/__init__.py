"""Runs of a layout: watched, stopped, resumed, repeated and verified."""
