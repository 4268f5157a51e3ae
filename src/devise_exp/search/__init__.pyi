from .answers import find_images as find_images
from .answers import nearest_words as nearest_words
from .saved_run import Run as Run
from .tags import best_cosines as best_cosines
from .tags import calibration_line as calibration_line
from .tags import embed_files as embed_files
from .tags import tag_images as tag_images
