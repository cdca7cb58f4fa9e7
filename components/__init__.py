"""The steps of the recommender, a folder each; no step imports another."""
