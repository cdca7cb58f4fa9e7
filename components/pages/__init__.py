"""The parts that all pages share: a base template, a style sheet, and the look of plots."""
