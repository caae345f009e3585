"""Other programs that lay graphs out, each in a module that says whether it can run here."""
