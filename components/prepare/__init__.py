"""Prepare: filter out the long tail, number the ids, and hold out ratings for testing."""
