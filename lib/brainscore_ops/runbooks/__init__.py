"""Running parameterized notebooks: parameters, execution through papermill, states, records, ledger."""
