"""The server: answers from a bundle folder over HTTP, without what trained the model."""
