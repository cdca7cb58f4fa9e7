"""The pipeline on this machine: a real S3 server, the shipped YAML, a served answer."""
