return "a thing"
