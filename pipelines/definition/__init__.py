"""The definition of a run: its parameters, the compiled pipeline, and the cluster."""
