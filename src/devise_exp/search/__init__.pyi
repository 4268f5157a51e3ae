from .answers import find_images as find_images
from .answers import nearest_words as nearest_words
from .answers import tag_images as tag_images
from .saved_run import Run as Run
