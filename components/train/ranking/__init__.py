"""Rank products: models of what a customer may also like, and the choice among them."""
