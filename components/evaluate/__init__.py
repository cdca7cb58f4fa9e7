"""Measures a model against baselines and the deployed one, and says whether it may go live."""
