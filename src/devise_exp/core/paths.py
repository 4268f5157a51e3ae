"""Where the configs are: beside the code in a wheel, at the top of a clone."""

from __future__ import annotations

from pathlib import Path


def conf_folder() -> Path:
    """The folder of the config groups, conf/.

    Returns:
        devise_exp/conf, which a wheel carries, or conf/ of the clone that this file lies in.
    """
    package = Path(__file__).parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


CONF = conf_folder()
