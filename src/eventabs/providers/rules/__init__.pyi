from .provider import RulesProvider as RulesProvider, rule_events as rule_events
from .rules_file import load_rules as load_rules, shipped_rules as shipped_rules
