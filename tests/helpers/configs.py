"""Overrides that make a run quick."""

# Data of too few classes for a table, where only what leads to one is of interest.
TINY = ("few_classes=allow",)
# A network of few weights, drawn at random, where the features are of no interest.
SMALL_NETWORK = ("backbone=timm", "backbone.name=test_resnet", "backbone.pretrained=false")
# The trained projection alone: no other method, no prior, nothing chosen on class folds.
ALONE = ("method=none", "prior=none", "class_folds=0", "report=none")
# A quick run on a few of the shipped features; and one that has choices to make on class folds.
FEW = (
    "subset.limit_per_class=4", "subset.min_images=90", "split.n_unseen=3", "split.seed=5",
    "split=random", "word_vectors=random", "projection=linear", "trainer.max_epochs=2",
    "training.batch_size=16", "optimizer.lr=0.003", "index=exact", "logger=none", "seed=1",
    "class_folds=2", "report=none",
)  # fmt: skip
CHOOSING = (
    *(option for option in FEW if option != "word_vectors=random"),
    "method=[conse_pretraining,eszsl,ale,devise_cosine]",
    "method.ale.rates=[0.3,1]",
    "prior.weights=[0.1,0.3,1]",
)
