"""Trains by a margin: a stage and a loss of another package, in ten lines."""

from judgebench.train.rank import add_arguments as add_arguments
from judgebench.train.rank import main as rank


def margin(logps, lengths, scores):
    return (logps[1:] - logps[0] + 1).clamp(min=0).sum()


def main(args):
    args.loss = "margin"
    return rank(args)
