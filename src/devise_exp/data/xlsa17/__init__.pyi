from .dataset import xlsa17_dataset as xlsa17_dataset
from .split import proposed_split as proposed_split
