"""The parts of `bench/run.py`: what is measured, by whom, how, and how it is written down."""
