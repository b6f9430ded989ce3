"""Training: verdicts into data, data into checkpoints, by TRL and PEFT. One module a stage."""
