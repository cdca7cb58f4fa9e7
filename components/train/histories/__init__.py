"""What each user rated, oldest first: the data that models of both objectives learn from."""
