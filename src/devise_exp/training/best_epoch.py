"""Which epoch a training ends as: the same rule in both loops."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

# With fewer validation rows an image is over 0.3 points of hit@1, and many epochs are equal.
MANY_ROWS = 300


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a training came to.

    Attributes:
        score: Validation hit@1 of the best epoch.
        epoch: Number of the best epoch, from 0 on.
        epochs: How many epochs were trained.
        steps: How many steps the optimizer took, on each rank.
    """

    score: float
    epoch: int
    epochs: int
    steps: int


@dataclass(kw_only=True)
class BestEpoch:
    """The epoch of the highest validation hit@1.

    Of equal epochs it is the first; with fewer than MANY_ROWS validation rows, which an epoch of a
    few steps may all get right by luck, it is the last.

    Attributes:
        n_rows: Number of validation rows.
        score: The highest validation hit@1; -1 before the first epoch.
        epoch: The best epoch.
        risen: The epoch in which the score last rose.
    """

    n_rows: int = field(repr=False)
    score: float = -1.0
    epoch: int = -1
    risen: int = -1

    def improves(self, epoch: int, score: float) -> bool:
        """Take an epoch into account.

        Args:
            epoch: Its number.
            score: Its validation hit@1.

        Returns:
            Whether it is the best so far.
        """
        if score > self.score:
            self.risen = epoch
        elif score < self.score or self.n_rows >= MANY_ROWS:
            return False
        self.score, self.epoch = score, epoch
        return True

    def is_late(self, epoch: int, patience: int | None) -> bool:
        """Tell whether training ends.

        Args:
            epoch: The epoch that was trained last.
            patience: Epochs without a higher score after which training ends; None: never.

        Returns:
            Whether so many have passed.
        """
        return patience is not None and epoch - self.risen >= patience

    def state(self) -> dict[str, float]:
        """Write down what a checkpoint keeps.

        Returns:
            Numbers by name, for `restore`.
        """
        state = asdict(self)
        del state["n_rows"]
        return state

    def restore(self, state: dict[str, float]) -> None:
        """Go on from a checkpoint.

        Args:
            state: What `state` has returned, or as of a run of before: best and epoch.
        """
        self.score = state.get("score", state.get("best", -1.0))
        self.epoch = int(state["epoch"])
        self.risen = int(state.get("risen", self.epoch))
