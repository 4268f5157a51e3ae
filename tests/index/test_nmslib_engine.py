"""nmslib's own object: quiet, and the same graph every time."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from helpers.indexes import gaussian

from devise_exp.index.exact import ExactIndex
from devise_exp.index.nmslib_index import NmslibIndex


def test_two_builds_give_the_same_graph() -> None:
    # Narrow settings: the answers depend on the graph, so a graph that differs would show.
    vectors, queries = gaussian(2000, 30), gaussian(100, 30, seed=1)
    ids = [
        NmslibIndex(vectors, m=4, ef_construction=20, ef_search=10).search(queries, 5)[0]
        for _ in range(3)
    ]
    assert (ids[0] != ExactIndex(vectors).search(queries, 5)[0]).any()
    np.testing.assert_array_equal(ids[1], ids[0])
    np.testing.assert_array_equal(ids[2], ids[0])


def test_a_build_in_a_new_process_is_quiet_and_gives_the_same_graph() -> None:
    code = (
        "import numpy as np, hashlib, logging; logging.basicConfig(level=logging.INFO)\n"
        "from devise_exp.index import NmslibIndex\n"
        "vectors = np.random.default_rng(0).normal(size=(2000, 30)).astype('f')\n"
        "index = NmslibIndex(vectors, m=4, ef_construction=20, ef_search=10)\n"
        "ids, _ = index.search(vectors[:100] + 1, 5)\n"
        "print(hashlib.sha256(ids.tobytes()).hexdigest())\n"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True) for _ in range(2)]
    assert [run.returncode for run in runs] == [0, 0]
    assert [run.stderr for run in runs] == [b"", b""]
    assert len(runs[0].stdout.split()) == 1
    assert runs[0].stdout == runs[1].stdout
