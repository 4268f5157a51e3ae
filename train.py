"""Train and evaluate one run: python train.py [group=option] [key=value] (README: Use)."""

import signal

if __name__ == "__main__":
    # Ctrl-C while packages are imported ends the script by the signal, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    from devise_exp.core.command import leave
    from devise_exp.pipelines.commands import train

    train()
    leave()
