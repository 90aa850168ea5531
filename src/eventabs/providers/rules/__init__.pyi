from .book import load_rules as load_rules, shipped_rules as shipped_rules
from .provider import RulesProvider as RulesProvider
