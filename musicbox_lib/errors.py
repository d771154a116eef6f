"""The ways a command ends badly. Each carries one sentence: what, where, what to do."""


class MusicBoxError(Exception):
    """A refusal with an exit code; its text is shown to the user as it stands."""

    exit_code = 1


class UsageError(MusicBoxError):
    """The command's words are wrong: an impossible date, an unknown table."""

    exit_code = 2


class DataRefused(MusicBoxError):
    """The data is wrong or missing; nothing was published."""

    exit_code = 3


class Conflict(MusicBoxError):
    """Somebody else holds what this command wants to write."""

    exit_code = 4
