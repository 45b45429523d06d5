"""The console script `holdfast`, and `python -m holdfast.starter`.

A shell that completes a word is answered without what commands need: a person waits at each press of Tab.
"""

import sys

_COMPLETE = "__complete"


def main() -> int:
    """Run the command line of this process; the exit code."""
    if sys.argv[1:2] == [_COMPLETE]:
        from holdfast.starter.completion.answer import answer_shell  # noqa: PLC0415 - see the module's docstring

        return answer_shell(sys.argv[2:])
    from holdfast.starter.main import main as run  # noqa: PLC0415 - as above

    return run()


if __name__ == "__main__":
    sys.exit(main())
