"""The one exception that is shown to a person without a traceback."""


class UserError(Exception):
    """An error that the user can correct.

    The message is one line that says what went wrong, where, and what to do.
    """
