"""What defines a run: its parameters, the compiled pipeline, and the cluster that it is for."""
