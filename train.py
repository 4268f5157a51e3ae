"""Train and evaluate one run: python train.py [group=option] [key=value] (README: Use)."""

import sys

try:
    from devise_exp.core.command import leave
    from devise_exp.pipelines.commands import train
except KeyboardInterrupt:  # too early for a line of the command
    sys.exit(130)

if __name__ == "__main__":
    train()
    leave()
