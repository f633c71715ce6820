"""The features there are, a module a group: name, formula, unit and expression."""
