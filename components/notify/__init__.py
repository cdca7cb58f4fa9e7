"""Notify: report how a run ended, whether it succeeded or not."""
