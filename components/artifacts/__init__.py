"""The formats that pass between steps, a module each."""
