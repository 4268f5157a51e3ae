from .config import compose_config as compose_config
from .console import notify as notify
from .console import print_content as print_content
from .errors import InputError as InputError
from .files import atomic_path as atomic_path
from .files import cache_dir as cache_dir
from .files import file_lock as file_lock
from .vectors import normalize_rows as normalize_rows
