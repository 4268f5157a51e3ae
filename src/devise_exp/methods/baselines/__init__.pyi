from .closed_form import eszsl as eszsl
from .closed_form import ridge_to_features as ridge_to_features
from .closed_form import sae as sae
from .seen_only import majority as majority
from .seen_only import prototypes as prototypes
