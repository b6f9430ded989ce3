"""Preference losses as pure functions of log-probabilities, each with its paper's formula.

The list-wise ones (`rrhf`, `pro`, `slic`, `conditional`) train in stage ``rank``, as do those that other packages name
in the entry-point group ``judgebench.losses``: ``loss(logps, lengths, scores)`` over the answers to one prompt. The
pairwise ones restate what TRL's trainers compute, to check them by hand.

All take torch tensors or plain lists, and give a torch scalar.
"""

from __future__ import annotations

from typing import Any


def rrhf(logps: Any, lengths: Any, scores: Any = None, *, sft: float = 1.0) -> Any:
    """The RRHF loss of one prompt's answers (Yuan et al. 2023, arXiv 2304.05302, equations 2 to 5).

    With p_i = (1 / |y_i|) Σ_t log P(y_i,t): L_rank = Σ_{r_i < r_j} max(0, p_i − p_j), L_ft = −Σ_t log P(y_best,t), and
    L = L_rank + L_ft.

    Args:
        logps: summed log-probability of each answer, shape (n,), the best first.
        lengths: tokens of each answer, shape (n,).
        scores: rewards r, shape (n,); None takes the order given as the ranking, with no ties.
        sft: weight of L_ft.
    """
    import torch

    logps, lengths, scores = _tensors(logps, lengths, scores)
    mean = logps / lengths
    worse = _worse(mean, scores)  # worse[i, j]: i is ranked below j
    ranking = (torch.relu(mean[:, None] - mean[None, :]) * worse).sum()
    best = 0 if scores is None else int(scores.argmax())
    return ranking - sft * logps[best]


def pro(logps: Any, lengths: Any, scores: Any = None, *, sft: float | None = None) -> Any:
    """The PRO loss of one prompt's ranked answers (Song et al. 2023, arXiv 2306.17492, equations 5 to 9).

    With r_k = (1 / |y_k|) Σ_t log P(y_k,t), the best first: L_PRO = −Σ_{k<n} log(exp(r_k / T_k^k) / Σ_{i≥k} exp(r_i /
    T_k^i)), where without scores every T is 1, and with scores s T_k^i = 1 / (s_k − s_i) for i > k and T_k^k their
    least. L = L_PRO + β L_SFT with L_SFT = −r_1 and the paper's β = 0.05 (n − 1)².

    Args:
        logps: summed log-probability of each answer, shape (n,), the best first.
        lengths: tokens of each answer, shape (n,).
        scores: rewards s that fall strictly, shape (n,); None sets every temperature to 1.
        sft: β; None is the paper's.

    Raises:
        ValueError: scores that do not fall strictly.
    """
    import torch

    logps, lengths, scores = _tensors(logps, lengths, scores)
    mean = logps / lengths
    count = len(mean)
    if scores is not None and not bool((scores[:-1] > scores[1:]).all()):
        raise ValueError("PRO's scores must fall strictly, the best first")
    total = mean.new_zeros(())
    for k in range(count - 1):
        rewards = mean[k:]
        if scores is not None:
            gaps = scores[k] - scores[k + 1 :]  # 1 / T
            rewards = rewards * torch.cat([gaps.max()[None], gaps])
        total = total - rewards[0] + torch.logsumexp(rewards, 0)
    beta = 0.05 * (count - 1) ** 2 if sft is None else sft
    return total - beta * mean[0]


def slic(logps: Any, lengths: Any, scores: Any = None, *, margin: float = 1.0, sft: float = 0.5) -> Any:
    """SLiC-HF's rank calibration loss (Zhao et al. 2023, arXiv 2305.10425, equation 1), over all pairs of a list.

    max(0, δ − log P(y⁺) + log P(y⁻)) − λ log P(y_ref), y_ref the best answer; the mean over pairs. Stage ``dpo --loss
    hinge`` is the same on log-ratios to the parent: max(0, 1 − β Δ).

    Args:
        logps: summed log-probability of each answer, shape (n,), the best first.
        lengths: not used.
        scores: rewards; None takes the order given as the ranking, with no ties.
        margin: δ.
        sft: λ.
    """
    import torch

    logps, _, scores = _tensors(logps, lengths, scores)
    worse = _worse(logps, scores)
    pairs = torch.relu(margin + logps[:, None] - logps[None, :]) * worse
    best = 0 if scores is None else int(scores.argmax())
    return pairs.sum() / worse.sum().clamp(min=1) - sft * logps[best]


def conditional(logps: Any, lengths: Any, scores: Any) -> Any:
    """Conditioned behaviour cloning: −w log π(y | x, c), a mean over tokens (OpenChat, Wang et al. 2023, 2309.11235).

    C-RLFT's objective is E[exp(r_c / β) log π(y | x, c)], its prompt naming the class c of the answer; w stands for
    exp(r_c / β), and the paper takes 1 for expert answers and 0.1 for others.

    Args:
        logps: summed log-probability of each answer, shape (n,).
        lengths: tokens of each, shape (n,).
        scores: weights w, shape (n,).
    """
    logps, lengths, scores = _tensors(logps, lengths, scores)
    return -(scores * logps / lengths).mean()


def dpo(
    chosen: Any, rejected: Any, ref_chosen: Any, ref_rejected: Any, beta: float = 0.1, kind: str = "sigmoid"
) -> Any:
    """The mean DPO loss (Rafailov et al. 2023, arXiv 2305.18290, equation 7), ln 2 where policy and reference agree.

    With Δ = (log π(y⁺) − log π_ref(y⁺)) − (log π(y⁻) − log π_ref(y⁻)): ``sigmoid`` −log σ(β Δ); ``hinge`` max(0, 1 − β
    Δ), 1 at the start; ``ipo`` (Δ − 1 / (2 β))² (Azar et al. 2023, equation 17; give means over tokens, as TRL does).

    Args:
        chosen: log-probabilities of the better answers, shape (n,).
        rejected: those of the worse.
        ref_chosen: the same under the reference.
        ref_rejected: the same under the reference.
        beta: β.
        kind: ``sigmoid``, ``hinge`` or ``ipo``.

    Raises:
        ValueError: another kind.
    """
    import torch

    chosen, rejected, ref_chosen, ref_rejected = (
        torch.as_tensor(each, dtype=torch.float64) for each in (chosen, rejected, ref_chosen, ref_rejected)
    )
    delta = (chosen - ref_chosen) - (rejected - ref_rejected)
    if kind == "sigmoid":
        return -torch.nn.functional.logsigmoid(beta * delta).mean()
    if kind == "hinge":
        return torch.relu(1 - beta * delta).mean()
    if kind == "ipo":
        return ((delta - 1 / (2 * beta)) ** 2).mean()
    raise ValueError(f"kind {kind!r}: sigmoid, hinge or ipo")


def kto(
    logps: Any, reference: Any, labels: Any, kl: float, beta: float = 0.1, good: float = 1.0, bad: float = 1.0
) -> Any:
    """The mean KTO loss (Ethayarajh et al. 2024, arXiv 2402.01306, equation 8), one half at the start.

    With r = log π(y) − log π_ref(y) and z = max(0, KL): λ_D (1 − σ(β (r − z))) for a good answer, λ_U (1 − σ(β (z −
    r))) for a bad one.

    Args:
        logps: log-probabilities of the answers, shape (n,).
        reference: the same under the reference.
        labels: True for a good answer, shape (n,).
        kl: estimate of the divergence from the reference, in nats.
        beta: β.
        good: λ_D.
        bad: λ_U.
    """
    import torch

    reward = torch.as_tensor(logps, dtype=torch.float64) - torch.as_tensor(reference, dtype=torch.float64)
    marks = torch.as_tensor(labels, dtype=torch.bool)
    zero = max(0.0, kl)
    value = torch.where(marks, torch.sigmoid(beta * (reward - zero)), torch.sigmoid(beta * (zero - reward)))
    weight = torch.where(marks, good, bad)
    return (weight * (1 - value)).mean()


def orpo(chosen: Any, rejected: Any, beta: float = 0.1) -> Any:
    """The mean ORPO loss (Hong et al. 2024, arXiv 2403.07691, equations 6 and 7): L_SFT + λ L_OR.

    With p = exp of the mean log-probability of a token and odds = p / (1 − p): L_OR = −log σ(log(odds⁺ / odds⁻)), L_SFT
    = −log p⁺.

    Args:
        chosen: mean log-probability of a token of each better answer, shape (n,).
        rejected: that of each worse one.
        beta: λ.
    """
    import torch

    chosen, rejected = (torch.as_tensor(each, dtype=torch.float64) for each in (chosen, rejected))
    odds = (chosen - rejected) - (torch.log1p(-chosen.exp()) - torch.log1p(-rejected.exp()))
    return (-chosen - beta * torch.nn.functional.logsigmoid(odds)).mean()


def simpo(chosen: Any, rejected: Any, beta: float = 2.0, gamma: float = 1.0) -> Any:
    """The mean SimPO loss, −log σ(β p⁺ − β p⁻ − γ) (Meng et al. 2024, arXiv 2405.14734, equation 6).

    Args:
        chosen: mean log-probability of a token of each better answer, shape (n,).
        rejected: that of each worse one.
        beta: β.
        gamma: γ.
    """
    import torch

    chosen, rejected = (torch.as_tensor(each, dtype=torch.float64) for each in (chosen, rejected))
    return -torch.nn.functional.logsigmoid(beta * (chosen - rejected) - gamma).mean()


def _tensors(logps: Any, lengths: Any, scores: Any) -> tuple[Any, Any, Any]:
    import torch

    logps = logps if isinstance(logps, torch.Tensor) else torch.tensor(logps, dtype=torch.float64)
    lengths = torch.as_tensor(lengths, dtype=logps.dtype, device=logps.device)
    if scores is not None:
        scores = torch.as_tensor(scores, dtype=logps.dtype, device=logps.device)
    return logps, lengths, scores


def _worse(values: Any, scores: Any) -> Any:
    """1 at (i, j) where answer i is ranked below j, shape (n, n)."""
    import torch

    if scores is None:
        return torch.ones(len(values), len(values), dtype=values.dtype, device=values.device).tril(-1)
    return (scores[:, None] < scores[None, :]).to(values.dtype)
