"""From what was seen of an adapter to what is answered with: the adapter, an earlier state of it, or the base model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from whet.errors import InputError
from whet.types import GuardReport


@dataclass(frozen=True)
class GuardConfig:
    """What an adapter must show before it answers.

    Attributes:
        gain: share by which the loss on the query's prompt must have fallen at least.
        confidence: how sure of that the guard must be, given how much the gain varies from token to token.
        canary: largest share by which the loss on general text may have risen.
        safety: most by which the mean loss on the private examples may have risen, in nats a token.
        kl: largest mean KL divergence, in nats a token, of the adapted from the base model's predictions at the end of
            the prompt.
        snapshots: shares of the steps after which a copy of the adapter is kept, to go back to.
    """

    gain: float = 0.015
    confidence: float = 0.99
    canary: float = 0.15
    safety: float = 0.05
    kl: float = 2.5
    snapshots: tuple[float, ...] = (0.5,)

    def __post_init__(self) -> None:
        if not 0.5 <= self.confidence < 1:
            raise InputError(f"confidence={self.confidence}: give a probability from 0.5 to below 1, such as 0.95.")
        for name in ("gain", "canary", "safety", "kl"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name}={getattr(self, name)}: a tolerance of the guard is 0 or more.")
        if not all(0 < share < 1 for share in self.snapshots):
            raise InputError(f"snapshots={self.snapshots}: give shares of the steps between 0 and 1, such as 0.5.")


@dataclass(frozen=True)
class Gain:
    """How much less loss there is on text that the adapter was not trained on.

    Attributes:
        before, after: loss of the base and of the adapted model, in bits per byte.
        mean: the gain as a share of the base model's loss.
        least: its lower confidence bound.
    """

    before: float
    after: float
    mean: float
    least: float


@dataclass(frozen=True)
class Finding:
    """What was seen of an adapter after some steps.

    Attributes:
        step: how many.
        gain: on the prompt, or on the last picks; None if there is nothing to see a gain by.
        canary: rise of the loss on general text, as a share of the base model's.
        safety: rise of the mean loss on the private examples, in nats a token; None if there are none.
        kl: mean KL divergence from the base model at the end of the prompt, in nats a token.
    """

    step: int
    gain: Gain | None
    canary: float
    safety: float | None
    kl: float

    def failures(self, config: GuardConfig) -> list[str]:
        """In words, each condition that does not hold; numbers that are not finite hold none."""
        failed = []
        if self.gain is not None and not self.gain.least >= config.gain:
            failed.append(f"the gain is not surely {config.gain:.1%} or more")
        if not self.canary <= config.canary:
            failed.append(f"the loss on general text rose by more than {config.canary:.0%}")
        if self.safety is not None and not self.safety <= config.safety:
            failed.append(f"the loss on the private examples rose by more than {config.safety:g} nats a token")
        if not self.kl <= config.kl:
            failed.append(f"the predictions are more than {config.kl:g} nats a token from the base model's")
        return failed


def decide(findings: Sequence[Finding], config: GuardConfig) -> Finding | None:
    """The finding to answer with, or None for the base model.

    Of those that fail nothing it is the one with the largest sure gain, and without a witness the last.
    """
    passed = [finding for finding in findings if not finding.failures(config)]
    return max(passed, key=lambda finding: (finding.gain.least if finding.gain else 0.0, finding.step), default=None)


def report(findings: Sequence[Finding], chosen: Finding | None, config: GuardConfig, *, tokens: int) -> GuardReport:
    """What the answer says of it; `findings` end with that of the last step."""
    last = findings[-1]
    shown = chosen or last
    if chosen is None:
        status, verdict = "rolled_back", f"the base model answers: {'; '.join(last.failures(config))}"
    elif chosen is last:
        status, verdict = "kept", "the adapter helps"
    else:
        status, verdict = "stepped_back", f"the adapter is that of step {chosen.step}, better than that of {last.step}"
    return GuardReport(
        status=status,
        before=shown.gain.before if shown.gain else None,
        after=shown.gain.after if shown.gain else None,
        reason=f"{verdict} ({_words(shown)})",
        step=chosen.step if chosen else 0,
        gain=shown.gain.least if shown.gain else None,
        canary=shown.canary,
        safety=shown.safety,
        kl=shown.kl,
        tokens=tokens,
    )


def _words(finding: Finding) -> str:
    parts = []
    if finding.gain is None:
        parts.append("nothing to see a gain by")
    else:
        parts.append(f"loss {-finding.gain.mean:+.1%}, at least {-finding.gain.least:+.1%}")
    parts.append(f"on general text {finding.canary:+.1%}")
    if finding.safety is not None:
        parts.append(f"on the private examples {finding.safety:+.2f} nats a token")
    parts.append(f"{finding.kl:.2f} nats a token from the base model")
    return ", ".join(parts)
