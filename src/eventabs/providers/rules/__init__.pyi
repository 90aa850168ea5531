from .provider import RulesProvider as RulesProvider
from .rules_file import load_rules as load_rules, shipped_rules as shipped_rules
