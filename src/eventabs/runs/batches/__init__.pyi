from .replies import ReplyReader as ReplyReader
from .requests import RequestWriter as RequestWriter
