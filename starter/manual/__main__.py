"""`python -m holdfast.starter.manual` writes what is made from the commands' options: make manual."""

from pathlib import Path
from typing import Final

from holdfast.starter import completion
from holdfast.starter.completion import grammar
from holdfast.starter.manual.reading import read
from holdfast.starter.manual.roff import page

GRAMMAR: Final = Path(completion.__file__).parent / grammar.FILE
PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "holdfast.1"


def made() -> dict[Path, str]:
    """What each of the files should hold."""
    root = read()
    return {GRAMMAR: grammar.write(root), PAGE: page(root)}


if __name__ == "__main__":
    for path, text in made().items():
        path.write_text(text, encoding="utf-8")
