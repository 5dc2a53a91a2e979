quiet = true
