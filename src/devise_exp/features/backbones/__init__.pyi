from .base import Augment as Augment
from .base import Backbone as Backbone
from .base import Preprocess as Preprocess
