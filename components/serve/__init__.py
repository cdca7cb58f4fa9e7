"""The server: answers from a bundle folder over HTTP, without the libraries of training."""
