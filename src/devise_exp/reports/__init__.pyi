from .comparison import compare as compare
from .html.page import write_html as write_html
from .html.shown_run import ShownRun as ShownRun
