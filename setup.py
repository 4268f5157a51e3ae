"""The wheel carries conf/, which stays at the top of the repository."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConf(build_py):
    """Copies conf/ beside the code, as devise_exp/conf; an editable install reads the clone's."""

    def run(self) -> None:
        """Build from nothing: what an earlier build left may have been removed since."""
        package = Path(self.build_lib) / "devise_exp"
        if not self.editable_mode:
            shutil.rmtree(package, ignore_errors=True)
        super().run()
        if not self.editable_mode:
            shutil.copytree(Path(__file__).parent / "conf", package / "conf")


setup(cmdclass={"build_py": BuildWithConf})
