from .dry_run import preview as preview
from .reevaluation import evaluate as evaluate
from .run import train as train
from .series import train_series as train_series
from .sweep.sweep import run_sweep as run_sweep
