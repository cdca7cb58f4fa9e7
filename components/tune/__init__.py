"""Tune: search the settings of the training step, in batches of trials."""
