"""The one exception that is shown to a person without a traceback."""


class UserError(Exception):
    """A mistake that its reader can mend.

    The message is one line that says what went wrong, where, and what to do.
    """
