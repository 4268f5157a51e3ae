"""The files that mark a folder as that of a run or of a series, and a run that is not done."""

RUN, SERIES = "config.yaml", "seeds.yaml"  # their configs
UNFINISHED = "UNFINISHED"
