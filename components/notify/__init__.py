"""Notify: say how a run ended, whatever happened in it."""
