"""Choosing what to learn from, and how much each choice tells about the query."""

from collections.abc import Callable

from whet.selection.arrays import Array, FloatArray
from whet.selection.base import Choice, Predictions, Selector, Stop
from whet.selection.calibration import Calibration, calibrate
from whet.selection.constraints import Constraints
from whet.selection.coreset import CoreSet
from whet.selection.density import InformationDensity
from whet.selection.dpp import Dpp
from whet.selection.eig import Eig
from whet.selection.explain import explain
from whet.selection.explanation import Alike, Explanation, PassedOver, Picked
from whet.selection.facility import FacilityLocation
from whet.selection.herding import Herding
from whet.selection.information import Ctl, Itl, MmItl, NoiselessItl
from whet.selection.kernels import Kernel, Linear
from whet.selection.kmeanspp import Badge, KMeansPlusPlus
from whet.selection.mmr import Mmr
from whet.selection.nearest import Nearest
from whet.selection.noise import NoiseSuggestion, suggest_noise, suggest_noise_from_gains
from whet.selection.posterior import Posterior
from whet.selection.predictions import LeastConfidence, MaxEntropy, MinMargin
from whet.selection.random import Random
from whet.selection.repeat import Repeat
from whet.selection.sift import Sift, Vtl
from whet.selection.surrogate import BayesianLinear
from whet.selection.typiclust import TypiClust
from whet.selection.undirected import UncertaintySampling, UndirectedItl, UndirectedVtl
from whet.selection.whole import WholeChoice, choose_from_all

SELECTORS: dict[str, Callable[..., Selector]] = {
    "sift": Sift,
    "vtl": Vtl,
    "nearest": Nearest,
    "random": Random,
    "repeat": Repeat,
    "itl": Itl,
    "itl-noiseless": NoiselessItl,
    "mm-itl": MmItl,
    "ctl": Ctl,
    "undirected-itl": UndirectedItl,
    "undirected-vtl": UndirectedVtl,
    "uncertainty": UncertaintySampling,
    "dpp": Dpp,
    "facility": FacilityLocation,
    "density": InformationDensity,
    "mmr": Mmr,
    "herding": Herding,
    "kmeans++": KMeansPlusPlus,
    "badge": Badge,
    "typiclust": TypiClust,
    "core-set": CoreSet,
    "min-margin": MinMargin,
    "max-entropy": MaxEntropy,
    "least-confidence": LeastConfidence,
    "eig": Eig,
}

__all__ = [
    "SELECTORS",
    "Alike",
    "Array",
    "Badge",
    "BayesianLinear",
    "Calibration",
    "Choice",
    "Constraints",
    "CoreSet",
    "Ctl",
    "Dpp",
    "Eig",
    "Explanation",
    "FacilityLocation",
    "FloatArray",
    "Herding",
    "InformationDensity",
    "Itl",
    "KMeansPlusPlus",
    "Kernel",
    "LeastConfidence",
    "Linear",
    "MaxEntropy",
    "MinMargin",
    "MmItl",
    "Mmr",
    "Nearest",
    "NoiseSuggestion",
    "NoiselessItl",
    "PassedOver",
    "Picked",
    "Posterior",
    "Predictions",
    "Random",
    "Repeat",
    "Selector",
    "Sift",
    "Stop",
    "TypiClust",
    "UncertaintySampling",
    "UndirectedItl",
    "UndirectedVtl",
    "Vtl",
    "WholeChoice",
    "calibrate",
    "choose_from_all",
    "explain",
    "suggest_noise",
    "suggest_noise_from_gains",
]
