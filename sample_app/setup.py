"""Compiles the style sheet and gives static files hashed names, before an sdist or a wheel is collected.

`static/` then holds both names (style.css and style.0123456789ab.css) and manifest.json, which maps one to
the other. A checkout installed with `pip install -e` gets style.css only, and url_for() the plain names.
"""

import hashlib
import json
import re
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).parent
STATIC = HERE / "sample_app" / "static"
MANIFEST = STATIC / "manifest.json"
HASHED = re.compile(r"\.[0-9a-f]{12}\.\w+$")


def compile_styles() -> None:
    import sass  # libsass, from build-system.requires

    css = sass.compile(filename=str(HERE / "scss" / "style.scss"), output_style="compressed")
    (STATIC / "style.css").write_text(css, encoding="utf-8")


def remove_hashed() -> None:
    MANIFEST.unlink(missing_ok=True)
    for path in STATIC.iterdir():
        if HASHED.search(path.name):
            path.unlink()


def copy_hashed() -> None:
    names = {}
    for path in sorted(STATIC.iterdir()):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        names[path.name] = f"{path.stem}.{digest}{path.suffix}"
        shutil.copyfile(path, STATIC / names[path.name])
    MANIFEST.write_text(json.dumps(names, indent=1), encoding="utf-8")


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
