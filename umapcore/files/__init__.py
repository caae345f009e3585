"""AnnData on disk: files are opened without X, and written completely or not at all."""
