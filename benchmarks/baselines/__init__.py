"""Other programs that lay out graphs; each module reports whether its program can run here."""
