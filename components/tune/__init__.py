"""Tune: search the settings of the training step, a batch of trials at a time."""
