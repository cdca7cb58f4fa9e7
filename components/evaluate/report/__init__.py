"""The report of an evaluation: one HTML page that needs no network."""

from components.evaluate.report.page import render as render
