"""The images of the steps: built, pushed, listed and audited."""
