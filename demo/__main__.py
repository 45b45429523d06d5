"""`python -m demo`: prepares the work directory, plays the scenario, tidies up."""

import argparse
import shutil
import sys
from pathlib import Path
from typing import Final

from demo.place import STORES, place
from demo.scenario import DemoError, Scenario
from demo.screen import Screen

_WORK: Final = Path("demo-work")
_MARKER: Final = "made-by-holdfast-demo"


def main() -> int:
    """Run the demonstration; the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the work directory for a look around")
    parser.add_argument("--tree", type=Path, default=Path("/usr/share"), help="the directory to back up")
    parser.add_argument("--large-mib", type=int, default=2048, help="size of the generated file")
    parser.add_argument("--store", choices=STORES, default="local", help="where the repository lies")
    arguments = parser.parse_args()
    screen = Screen()
    work = _WORK.resolve()
    try:
        _prepare(work)
        tree = arguments.tree.resolve()
        with place(arguments.store, work) as where:
            Scenario(screen, work=work, tree=tree, large_mib=arguments.large_mib, place=where).play()
    except DemoError as error:
        screen.failed(str(error))
        return 1
    except KeyboardInterrupt:
        screen.failed("stopped; `make demo` begins anew")
        return 130
    finally:
        if arguments.keep:
            screen.kept(work)
        else:
            screen.removing(work)
            _remove(work)
    return 0


def _prepare(work: Path) -> None:
    _remove(work)
    work.mkdir(mode=0o700)
    (work / _MARKER).touch()


def _remove(work: Path) -> None:
    """Remove the work directory, if it is one of ours."""
    if not work.exists():
        return
    if not (work / _MARKER).exists():
        raise DemoError(f"{work} exists and was not made by this demonstration: move it away")
    shutil.rmtree(work)


if __name__ == "__main__":
    sys.exit(main())
