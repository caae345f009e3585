"""AnnData in memory: what is read of it, and all or nothing written to it."""
