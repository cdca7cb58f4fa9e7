"""What the server answers: a handler for each route, and their description."""
