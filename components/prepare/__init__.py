"""Prepare: the long tail filtered out, ids numbered, and ratings held out to test with."""
