"""The files that mark a folder as that of a run or of a series: their configs."""

RUN, SERIES = "config.yaml", "seeds.yaml"
