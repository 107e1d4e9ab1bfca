"""Builds the wheel (from the source distribution, as a release does) and uses it in a clean environment.

What an editable install hides shows here: a file that the wheel forgot, a dependency that was never declared.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
LOCK = ROOT / "requirements" / "demo.txt"

# Runs in the clean environment: every module is imported, from the wheel and with what a user has. The contract suites
# are left out: they are for pytest to import.
USE = """
import importlib, pkgutil, sys
import diptych

CONTRACTS = tuple(f"diptych.testing.{name}" for name in ("event_log", "snapshot_", "view_"))
assert diptych.__file__.startswith(sys.prefix), diptych.__file__
names = [module.name for module in pkgutil.walk_packages(diptych.__path__, "diptych.")]
for name in names:
    if not name.endswith("__main__") and not name.startswith(CONTRACTS):
        importlib.import_module(name)
print(f"imported {len(names)} modules")
"""


def run(*command: str | Path, cwd: Path | None = None) -> None:
    """Run `command`, whose output is shown; a failure raises."""
    subprocess.run([str(part) for part in command], check=True, cwd=cwd)


def pip(python: Path, *arguments: str | Path) -> None:
    """Install into the environment of `python`, with the pip of this one."""
    options = ("--disable-pip-version-check", "--no-input", "--quiet")
    run(sys.executable, "-m", "pip", "--python", python, *options, "install", *arguments)


def build(folder: Path) -> Path:
    """Build both distributions into `folder` with the locked backend; return the wheel."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, check=False, capture_output=True, text=True)
    if built.returncode:
        sys.exit(f"{built.stdout}{built.stderr}The wheel could not be built.")
    (wheel,) = folder.glob("*.whl")
    return wheel


def missing(wheel: Path) -> list[str]:
    """Return the files of the package that the wheel does not carry, data files and py.typed among them."""
    files = (path for path in (SOURCE / "diptych").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    carried = set(ZipFile(wheel).namelist())
    return sorted({path.relative_to(SOURCE).as_posix() for path in files} - carried)


def main() -> None:
    """Exit with 0 when the wheel is whole and works."""
    with tempfile.TemporaryDirectory(prefix="diptych-wheel-") as folder:
        wheel = build(Path(folder) / "dist")
        if forgotten := missing(wheel):
            sys.exit(f"The wheel does not carry: {', '.join(forgotten)}")
        print(f"built {wheel.name}")

        clean = Path(folder) / "clean"
        venv.create(clean, symlinks=True)
        python = clean / "bin" / "python"
        pip(python, "--require-hashes", "--no-deps", "--only-binary", ":all:", "--requirement", LOCK)
        pip(python, "--no-index", "--no-deps", wheel)
        run(python, "-I", "-W", "error", "-c", USE, cwd=clean)
        run(python, "-I", "-m", "diptych", "--help", cwd=clean)
        run(python, "-I", "-m", "diptych", "new", "bakery", cwd=clean)


if __name__ == "__main__":
    main()
