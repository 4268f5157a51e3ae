"""Evaluate a finished run again from its folder: python evaluate.py run_dir=outputs/latest."""

import signal

if __name__ == "__main__":
    # Ctrl-C while packages are imported ends the script by the signal, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    from devise_exp.core.command import leave
    from devise_exp.pipelines.commands import evaluate

    evaluate()
    leave()
