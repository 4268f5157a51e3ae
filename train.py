"""Train and evaluate one run: python train.py [group=option] [key=value] (README: Use)."""

from devise_exp.core.command import leave
from devise_exp.pipelines.commands import train

if __name__ == "__main__":
    train()
    leave()
