"""The formats of the artifacts that pass between steps, one module for each."""
