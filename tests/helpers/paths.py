"""Where the repository, its configs and its tests are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
TESTS = ROOT / "tests"
