"""Ingest: star ratings from S3, whatever their format, into one `ratings` artifact."""
