"""New cells in an embedding that stays as it is."""
