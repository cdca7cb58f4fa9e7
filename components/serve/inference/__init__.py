"""What answers are computed from: a model in memory, and how to ask it."""
