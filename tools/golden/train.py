#!/usr/bin/env python3
"""Optimizers as PyTorch has them, for tests/golden/train/optimizer.json.

  train.py OUT.json      needs torch; writes start, gradients and the weights after 20 steps of AdamW (decay 0.1, clip 1) and SGD (momentum 0.9)
"""
import json
import sys

import torch

torch.manual_seed(3)
torch.set_default_dtype(torch.float32)
n, steps = 40, 20
start = torch.randn(n)
grads = [torch.randn(n) * (0.05 + i) for i in range(steps)]


def run(make, clip):
    w = torch.nn.Parameter(start.clone())
    opt = make([w])
    norms = []
    for g in grads:
        w.grad = g.clone()
        if clip:
            norms.append(float(torch.nn.utils.clip_grad_norm_([w], clip)))
        opt.step()
    return [float(x) for x in w.detach()], norms


adamw, norms = run(lambda p: torch.optim.AdamW(p, lr=1e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1), 1.0)
sgd, _ = run(lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9), 0)
json.dump({"start": [float(x) for x in start], "grads": [[float(x) for x in g] for g in grads], "adamw": adamw, "norms": norms, "sgd": sgd},
          open(sys.argv[1], "w"))
