"""One line for everything that a script sees."""


def say(*words):
    print(*words, flush=True)


def say_error(what, error):
    """An error with every field that the server sent."""
    diagnostic = getattr(error, "diag", None)
    if diagnostic is not None:
        names = [name for name in dir(diagnostic) if not name.startswith("_")]
        fields = {name: getattr(diagnostic, name) for name in names}
    else:
        fields = dict(error.as_dict()) if hasattr(error, "as_dict") else {}
    say("error", what, type(error).__name__, str(error), fields)
