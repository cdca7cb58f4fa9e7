"""Rank products: models of what a customer may also like, and the choice among them."""

from components.train.ranking.fit import fit_ranking as fit_ranking
