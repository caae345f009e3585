"""Layouts compared: their quality, their bits, their speed beside others'."""
