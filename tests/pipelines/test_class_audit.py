"""What is said of an audit before a training: of unseen classes, and of what a person states."""

from __future__ import annotations

import pytest

from devise_exp.evaluation.leakage import audit
from devise_exp.pipelines.class_audit import announce_audit

CATEGORIES = ["tabby, tabby cat", "tennis ball", "pool table, billiard table, snooker table"]


def announced(
    capsys: pytest.CaptureFixture[str], *unseen: str, stated: tuple[str, ...] = ()
) -> str:
    classes = dict.fromkeys(("tabby", "tennis", "zzqx", "said"), "")
    announce_audit(audit(classes, CATEGORIES, stated_clean=stated), unseen)
    return " ".join(capsys.readouterr().err.split())


def test_a_statement_in_vain_is_answered_whatever_the_side_of_its_class(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = "labels.stated_clean names tabby, which the audit finds in the pretraining"
    for unseen in (["tabby"], ["zzqx"], []):  # split=clean never makes it unseen
        assert line in announced(capsys, *unseen, stated=("tabby",))
    assert "stated_clean" not in announced(capsys, "tabby")  # it would change nothing


def test_the_remedy_is_one_for_these_classes(capsys: pytest.CaptureFixture[str]) -> None:
    possible = announced(capsys, "tennis")
    assert "may overlap" in possible
    assert "a noun that the audit knows" not in possible  # tennis is one
    assert "state what you know (labels.stated_clean=" in possible
    unknown = announced(capsys, "zzqx")
    assert "give each a noun that the audit knows (++labels.aliases.zzqx=" in unknown
    both = announced(capsys, "tennis", "zzqx")
    assert "give each that is not identified a noun that the audit knows (++labels.al" in both
