"""The ways a command ends badly. Each carries one sentence: what, where, what to do."""


class MusicBoxError(Exception):
    """A refusal with an exit code; its text is shown to the user as it stands."""

    exit_code = 1

    def __str__(self) -> str:
        # What it names comes from outside: a newline would make two sentences, an escape paint the terminal.
        return "".join(one if one.isprintable() else repr(one)[1:-1] for one in super().__str__())


class UsageError(MusicBoxError):
    """The command's words are wrong: an impossible date, an unknown table."""

    exit_code = 2


class DataRefused(MusicBoxError):
    """The data is wrong or missing; nothing was published."""

    exit_code = 3


class Conflict(MusicBoxError):
    """Somebody else holds what this command wants to write."""

    exit_code = 4


class DiskFull(MusicBoxError):
    """A device has no space left. Exit code 1: the same command may succeed later, so a scheduler tries again."""
