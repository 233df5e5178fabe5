"""What operators watch, judged: rules, tests of rules, runbooks, dashboards."""
