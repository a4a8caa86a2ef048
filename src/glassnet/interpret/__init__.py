"""The reference evaluator: slow, plain, and the oracle of the compiler."""
