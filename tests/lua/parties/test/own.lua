return "of the party"
