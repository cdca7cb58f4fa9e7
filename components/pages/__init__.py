"""What all pages share: a base template, a style sheet, and plots in its colours."""
