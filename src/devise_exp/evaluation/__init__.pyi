from .evaluator import EvalReport as EvalReport
from .evaluator import evaluate as evaluate
from .leakage import AuditReport as AuditReport
from .leakage import Overlap as Overlap
from .leakage import audit as audit
from .protocols import MethodOutput as MethodOutput
from .protocols import Protocol as Protocol
from .protocols import standard_protocols as standard_protocols
