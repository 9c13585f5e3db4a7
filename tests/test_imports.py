"""The import rule of the house: levels meet only in their types, and nothing heavy is imported before it is needed.

The rule is read from the syntax of every file, so that an import hidden in a function counts too.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mididdsp

ROOT = Path(mididdsp.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

LEVELS = ("notes", "expression", "synthesis")
NEUTRAL = ("units", "random", "tiles", "instruments")
FILE_MODULES = ("audio_files", "checkpoints", "sources", "document", "midi", "score")
MAY_IMPORT_PERFORMER = ("__init__", "commands", "studio", "corpus")
LAZY = ("music21", "matplotlib", "hydra", "omegaconf", "torchcrepe", "torchaudio", "librosa", "pretty_midi", "tqdm")
"""Libraries that cost time or memory at import and serve few commands: never imported at the top of a module."""
WITHOUT_TORCH = (
    "notes.types",
    "notes.midi",
    "notes.voices",
    "notes.score",
    "notes.page",
    "notes.playing",
    "expression.controller_map",
    "expression.export",
    "expression.lines",
    "expression.line_files",
    "expression.attribute_tables",
    "expression.migration",
    "expression.types",
    "expression.document",
    "expression.controllers",
    "expression.curves",
    "expression.articulation",
    "expression.edit",
    "expression.history",
    "expression.quantities",
    "expression.select",
    "expression.views",
    "bars",
    "synthesis.types",
    "synthesis.document",
    "instruments",
    "units",
    "random",
    "sources",
    "report",
    "audio_files",
)
"""Readers, writers and values: usable where torch would be too slow to load."""


def name_of(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imports(path: Path, *, top_only: bool = False) -> list[str]:
    """Every module a file imports, absolute; names below TYPE_CHECKING count as imports of the rule, not of the run."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: list[str] = []

    def visit(nodes: list[ast.stmt]) -> None:
        for node in nodes:
            if isinstance(node, ast.Import):
                found.extend(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative import; write the whole name"
                found.append(node.module or "")
                found.extend(f"{node.module}.{alias.name}" for alias in node.names)
            elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
                if not top_only:
                    visit(node.body)
            elif not top_only or isinstance(node, (ast.If, ast.Try, ast.With)):
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.stmt):
                        visit([child])
                    elif isinstance(child, ast.ExceptHandler):
                        visit(child.body)

    visit(tree.body)
    return found


def own_modules(path: Path, *, top_only: bool = False) -> set[str]:
    """The modules of this package a file imports, without the package's name."""
    known = {name_of(item) for item in FILES}
    found = set()
    for name in imports(path, top_only=top_only):
        if name == "mididdsp":
            found.add("__init__")
        elif name.startswith("mididdsp."):
            short = name.removeprefix("mididdsp.")
            while short and short not in known:
                short = short.rpartition(".")[0]
            found.add(short)
    return found - {""}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_import_rule_holds(path: Path) -> None:
    here = name_of(path)
    level = here.split(".")[0]
    for other in own_modules(path) - {here}:
        head, _, tail = other.partition(".")
        if level in LEVELS and head in LEVELS and head != level:
            assert tail == "types", f"{here} imports {other}: levels meet only in types"
        if level in NEUTRAL:
            assert head in NEUTRAL, f"{here} is neutral and imports {other}"
        if here.endswith("generator") or ".dsp" in here:
            assert other.rpartition(".")[2] not in FILE_MODULES, (
                f"{here} imports {other}: generators and DSP know no files"
            )
        if head == "performer":
            assert level in MAY_IMPORT_PERFORMER, f"{here} imports performer"
        if head == "training":
            assert level in ("commands", "training"), f"{here} imports {other}: only the command imports training"
        assert head not in ("cli", "commands") or level in ("cli", "commands"), f"{here} imports the command"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_heavy_libraries_are_imported_when_needed(path: Path) -> None:
    heavy = {name.split(".")[0] for name in imports(path, top_only=True)} & set(LAZY)
    assert not heavy, (
        f"{name_of(path)} imports {', '.join(sorted(heavy))} at its top; import it in the function that needs it"
    )


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_readers_writers_and_values_never_import_torch(name: str) -> None:
    path = ROOT / (name.replace(".", "/") + ".py")
    assert path.exists(), f"{name} is named here but does not exist"
    assert not any(item.split(".")[0] == "torch" for item in imports(path))


@pytest.mark.parametrize("path", [ROOT / "cli.py", *sorted((ROOT / "commands").glob("*.py"))], ids=name_of)
def test_the_command_imports_only_click_at_its_top(path: Path) -> None:
    outside = {name.split(".")[0] for name in imports(path, top_only=True)} - set(sys.stdlib_module_names)
    assert outside - {"mididdsp"} <= {"click"}
    own = own_modules(path, top_only=True)
    assert {name for name in own if name.split(".")[0] not in ("commands", "__init__")} <= {"sources"}


@pytest.mark.parametrize("statement", ["import mididdsp", "import mididdsp.cli"])
def test_importing_the_package_loads_nothing_heavy(statement: str) -> None:
    code = f"import sys; {statement}; print(' '.join(sorted({{'numpy', 'torch', 'scipy', 'mido'}} & set(sys.modules))))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert run.stdout.strip() == ""


def test_the_public_names_are_what_the_package_says() -> None:
    assert sorted(mididdsp.__all__) == sorted({*mididdsp._HOMES, "__version__"})
    for name, home in mididdsp._HOMES.items():
        value = getattr(mididdsp, name)
        assert getattr(value, "__module__", f"mididdsp.{home}") == f"mididdsp.{home}", (
            f"{name} is not at home in {home}"
        )
    assert dir(mididdsp) == sorted(mididdsp.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'perfomer'"):
        _ = mididdsp.perfomer


def test_every_module_says_what_it_is() -> None:
    for path in FILES:
        if path.stat().st_size:
            assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{name_of(path)} has no docstring"
