"""The rated products of each customer: data that models of both objectives are trained on."""
