from .lightning import FitSettings as FitSettings
from .lightning import fit_with_lightning as fit_with_lightning
from .loop import TrainSettings as TrainSettings
from .loop import train_projection as train_projection
from .module import DeviseModule as DeviseModule
