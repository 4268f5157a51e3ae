from .dataset import dataset as dataset
from .split import proposed_split as proposed_split
