"""Nearest neighbours, and the weights of the graph between them."""
