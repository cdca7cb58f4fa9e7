"""The page that a person opens first: everything that was found, with no need of a network."""

from components.evaluate.report.page import render as render
