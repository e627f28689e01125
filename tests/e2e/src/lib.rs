//! Nothing: the tests are in `tests/all`, one binary over the real programs.
