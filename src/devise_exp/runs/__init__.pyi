from .folder import RunFolder as RunFolder
from .gallery import Gallery as Gallery
from .results import RunResults as RunResults
