"""The compiled modules. All else is in pyproject.toml."""

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

GCC = ["-O3", "-fno-strict-aliasing"]
MSVC = ["/O2"]


class OptionalBuild(build_ext):
    """Without a compiler the Python twins work, and forensiclib.kernels.WHICH says so."""

    def build_extension(self, ext):
        ext.extra_compile_args = MSVC if self.compiler.compiler_type == "msvc" else GCC
        super().build_extension(ext)


def extension(name):
    return Extension(f"forensiclib.{name}", [f"forensiclib/{name}.pyx"], include_dirs=["forensiclib/_native"])


def modules():
    try:
        from Cython.Build import cythonize
    except ImportError:
        return []  # the Python twins will be used
    found = cythonize(
        [extension(name) for name in ("_codecs", "_columns", "_digests", "_speedups")],
        compiler_directives={"language_level": "3", "embedsignature": True},
    )
    for module in found:
        module.optional = True  # cythonize does not carry it over
    return found


setup(ext_modules=modules(), cmdclass={"build_ext": OptionalBuild})
