"""Runs of the pipelines on this machine."""
