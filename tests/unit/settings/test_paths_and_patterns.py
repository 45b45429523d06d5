"""One path in all its spellings; "~", "./" and variables mean the same in paths and patterns, or are refused."""

from pathlib import Path

import pytest

from holdfast.errors import SettingsError, UsageError
from holdfast.service.settings.exclude_files import named_variables, read_patterns, resolve
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.model import SourceProfile
from holdfast.service.settings.paths import PathRules, plain
from holdfast.source.spec import SourceSpec

RULES = PathRules(base=Path("/base"), home=Path("/home/a[b]"), in_file=True)


@pytest.mark.parametrize(
    "written", ["/x/y", "//x/y", "///x//y", "/x/y/", "/x/y/.", "/x/./y//", "/x/z/../y", "../x/y", "./../x/y"]
)
def test_one_path_in_all_its_spellings(written: str) -> None:
    assert RULES.text(written) == "/x/y"


@pytest.mark.parametrize(("path", "normal"), [("//", "/"), ("/", "/"), ("//a", "/a"), ("/a//", "/a")])
def test_two_leading_slashes_are_one(path: str, normal: str) -> None:
    assert plain(path) == normal


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("~/.cache", r"/home/a\[b\]/.cache"),
        ("!~/.cache/*", r"!/home/a\[b\]/.cache/*"),
        ("~", r"/home/a\[b\]"),
        ("./build", "/base/build"),
        ("./*.o", "/base/*.o"),
        ("../other", "/other"),
        (".", "/base"),
        ("*.o", "*.o"),
        ("~$*.docx", "~$*.docx"),
        ("~lock", "~lock"),
        (".git", ".git"),
        ("a/./b", "a/./b"),
        ("/x", "/x"),
    ],
)
def test_what_a_pattern_means(pattern: str, meant: str) -> None:
    assert RULES.pattern(pattern) == meant


def test_the_home_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="no user"):
        RULES.pattern("~no-such-user/x")
    with pytest.raises(ValueError, match="no user"):
        RULES.text("~no-such-user/x")


def _settings(folder: Path, **keys: str) -> SourceProfile:
    lines = [f"{key} = {value}" for key, value in keys.items()]
    (folder / "holdfast.toml").write_text(
        f'[repositories.main]\nlocation = "{folder}/repository"\n[sources.home]\nrepository = "main"\n'
        + "\n".join(lines)
    )
    return load_settings(folder / "holdfast.toml", {"HOME": "/home/me", "DATA": "/data"}).source("home")


def test_paths_and_patterns_of_the_settings(tmp_path: Path) -> None:
    source = _settings(
        tmp_path, paths='["~", "//home/me/", "./here/.", "/with$$dollar"]', exclude='["~/.cache", "./here/a"]'
    )
    roots = (b"/home/me", bytes(tmp_path / "here"), b"/with$dollar")
    assert source.spec.roots == roots
    assert source.spec.filters.excludes == ("/home/me/.cache", f"{tmp_path}/here/a")


@pytest.mark.parametrize("key", ["paths", "exclude", "iexclude", "exclude_files"])
@pytest.mark.parametrize("value", ["$HOME/x", "${DATA}/x", "/x/$DATA", "$NOPE/*"])
def test_variables_are_refused_in_the_settings(tmp_path: Path, key: str, value: str) -> None:
    keys = {"paths": '["/x"]'} | {key: f'["{value}"]'}
    with pytest.raises(SettingsError, match="replaced in exclude files only"):
        _settings(tmp_path, **keys)


def patterns(folder: Path, *lines: str, **environ: str) -> list[str]:
    file = folder / "excludes"
    file.write_text("\n".join(lines))
    return list(read_patterns([file], {"HOME": "/home/me", **environ}))


def test_the_lines_of_an_exclude_file(tmp_path: Path) -> None:
    assert patterns(
        tmp_path,
        "# a comment",
        "  *.tmp  ",
        "",
        "$DATA/x",
        "!${DATA}/x/keep",
        "~/.cache",
        "$HOME/.cache",
        "./here",
        "~$$*",
        "a$",
        "$.x",
        "$EMPTY",
        "a$EMPTY",
        DATA="/data",
        EMPTY="",
    ) == [
        "*.tmp",
        "/data/x",
        "!/data/x/keep",
        "/home/me/.cache",
        "/home/me/.cache",
        f"{tmp_path}/here",
        "~$*",
        "a$",
        "$.x",
        "a",
    ]


@pytest.mark.parametrize("line", ["$NOPE/*", "${NOPE}", "!$NOPE", "x/${}", "x/${open", "x/$NOPE/y"])
def test_a_variable_that_is_not_defined_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(SettingsError, match=r"line 2: the variable \$.*is not defined"):
        patterns(tmp_path, "# first", line)


@pytest.mark.parametrize("line", ["$EMPTY/*", "${EMPTY}/", "!$EMPTY/x", "$EMPTY$EMPTY/*"])
def test_an_empty_variable_is_not_the_root_of_everything(tmp_path: Path, line: str) -> None:
    with pytest.raises(SettingsError, match="is empty"):
        patterns(tmp_path, line, EMPTY="")


def test_a_malformed_line_is_told_with_its_number(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="line 2"):
        patterns(tmp_path, "a", "[")


def test_the_variables_of_the_shell_reach_the_worker(tmp_path: Path) -> None:
    """Workers have few variables of their own: those that the files name come along."""
    file = tmp_path / "excludes"
    file.write_text("$MINE/x\n$OTHER\n")
    variables = named_variables([file], {"MINE": "/mine", "OTHER": "o", "SECRET": "s"})
    assert variables == {"MINE": "/mine", "OTHER": "o"}
    profile = SourceProfile(
        name="", repository="", spec=SourceSpec(roots=(b"/x",)), exclude_files=(file,), variables=variables
    )
    assert resolve(profile, {"HOME": "/"}).spec.filters.excludes == ("/mine/x", "o")


def test_a_marker_of_the_settings_that_could_never_be_found(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exclude_if_present"):
        _settings(tmp_path, paths='["/x"]', exclude_if_present='["a/b"]')
