from .prior import PretrainedClassifier as PretrainedClassifier
from .prior import Prior as Prior
from .selection import CalibratedMethod as CalibratedMethod
from .selection import calibrate as calibrate
from .selection import devise as devise
from .task import ClassFold as ClassFold
from .task import FittedMethod as FittedMethod
from .task import Task as Task
