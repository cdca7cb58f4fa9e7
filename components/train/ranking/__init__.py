"""Rank products: the models, and the choice among them."""
