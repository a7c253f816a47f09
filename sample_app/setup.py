"""Compiles the style sheet and gives static files hashed names, before an sdist or a wheel is collected.

`static/` then holds both names (style.css and style.0123456789ab.css) and manifest.json, which maps one to
the other. A checkout installed with `pip install -e` gets style.css only, and url_for() the plain names.
"""

import hashlib
import json
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).parent
STATIC = HERE / "sample_app" / "static"
MANIFEST = STATIC / "manifest.json"


def compile_styles() -> None:
    import sass  # libsass, from build-system.requires

    css = sass.compile(filename=str(HERE / "scss" / "style.scss"), output_style="compressed")
    (STATIC / "style.css").write_text(css, encoding="utf-8")


def remove_hashed() -> None:
    if MANIFEST.exists():
        for name in json.loads(MANIFEST.read_text(encoding="utf-8")).values():
            (STATIC / name).unlink(missing_ok=True)
        MANIFEST.unlink()


def copy_hashed() -> None:
    names = {}
    for path in sorted(path for path in STATIC.rglob("*") if path.is_file()):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        hashed = path.with_name(f"{path.stem}.{digest}{path.suffix}")
        names[path.relative_to(STATIC).as_posix()] = hashed.relative_to(STATIC).as_posix()
    MANIFEST.write_text(json.dumps(names, indent=1), encoding="utf-8")  # first: it says what to remove
    for name, hashed_name in names.items():
        shutil.copyfile(STATIC / name, STATIC / hashed_name)


def build_static(*, hashed: bool) -> None:
    compile_styles()
    remove_hashed()
    if hashed:
        copy_hashed()


class BuildPy(build_py):
    def run(self) -> None:
        build_static(hashed=not self.editable_mode)
        super().run()


class Sdist(sdist):
    def run(self) -> None:
        build_static(hashed=True)
        super().run()


setup(cmdclass={"build_py": BuildPy, "sdist": Sdist})
