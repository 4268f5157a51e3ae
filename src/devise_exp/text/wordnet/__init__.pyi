from .database import WordNet as WordNet
from .database import find_wordnet as find_wordnet
from .hierarchy import Hierarchy as Hierarchy
from .hierarchy import place_classes as place_classes
from .senses import SenseTable as SenseTable
