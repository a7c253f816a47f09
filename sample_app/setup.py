"""Compiles the style sheet before the files of an sdist or a wheel are collected."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).parent


def compile_styles() -> None:
    import sass  # libsass, from build-system.requires

    css = sass.compile(filename=str(HERE / "scss" / "style.scss"), output_style="compressed")
    (HERE / "sample_app" / "static" / "style.css").write_text(css, encoding="utf-8")


class BuildPy(build_py):
    def run(self) -> None:
        compile_styles()
        super().run()


class Sdist(sdist):
    def run(self) -> None:
        compile_styles()
        super().run()


setup(cmdclass={"build_py": BuildPy, "sdist": Sdist})
