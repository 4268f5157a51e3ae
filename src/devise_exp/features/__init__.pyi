from .backbones.base import Backbone as Backbone
from .backbones.base import Preprocess as Preprocess
from .backbones.efficientnet_lite import efficientnet_lite as efficientnet_lite
from .backbones.timm import timm_backbone as timm_backbone
from .backbones.torchvision import torchvision_backbone as torchvision_backbone
from .bank import FeatureBank as FeatureBank
from .bank import feature_bank as feature_bank
from .extraction import ExtractionSettings as ExtractionSettings
