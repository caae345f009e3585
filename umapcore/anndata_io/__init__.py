"""AnnData in memory: reading its entries, and writing all results or none."""
