"""The steps of the recommender, one folder for each; no step imports another."""
