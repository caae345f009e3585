"""Start positions: spectral, by PAGA, random or given."""
