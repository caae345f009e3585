"""AnnData on disk: opened without X, written whole or not at all."""
