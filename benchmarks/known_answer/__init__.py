"""An experiment with a known answer: simple pictures with exact truth, partly labelled, learnt in minutes."""
