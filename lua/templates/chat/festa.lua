-- The configuration, plain data. All keys are optional; see docs/limits.md of Festa.
return {
  port = 1999,
}
