"""Evaluate: measure a model against baselines and the deployed model, and decide on deployment."""
