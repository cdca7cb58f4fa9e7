"""Train: learn to predict stars and to rank products, and export both as plain arrays."""
