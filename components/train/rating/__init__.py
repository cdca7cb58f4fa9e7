"""Predict stars: models of what a customer thinks of a product, and the choice among them."""
