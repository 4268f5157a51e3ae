from .auto import AutoIndex as AutoIndex
from .exact import ExactIndex as ExactIndex
from .faiss_index import FaissIndex as FaissIndex
from .nmslib_index import NmslibIndex as NmslibIndex
from .protocol import Index as Index
from .saved import load as load
