"""HTTP/1.1 on sockets: it knows requests and responses, and nothing of models."""
