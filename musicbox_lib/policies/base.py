"""What a policy's class says of itself: its name and label, what it is fitted on, and how its arrays make it again.

A policy is one file with one class, a `FittedPolicy` or a `ModelPolicy`. Evaluation, scoring and reports ask these
attributes and know no names; `listed.ALL` is the only list.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from numpy.typing import NDArray

from musicbox_lib.blocks.candidates import Candidates
from musicbox_lib.blocks.catalogue import Catalogue
from musicbox_lib.blocks.contexts import ContextBlock
from musicbox_lib.policies.fit_inputs import FitInputs

if TYPE_CHECKING:
    import numpy as np

    from musicbox_lib.ddpg.config import Serving

Arrays = Mapping[str, NDArray[Any]]
"""What a fit gives: numpy arrays by name, none of them of objects, so that an .npz file holds them without a pickle."""
TEMPERATURE = 0.05
"""Of a policy that nobody has chosen one for. Greedy means a low temperature: a track .2 below the best (in cosines,
logits or shares of the best, whatever the policy scores in) is then e^4 times less likely."""


class ListedPolicy(ABC):
    """A policy that reports name and show; an instance is an `interface.Policy`."""

    name: str
    """In tables and files: lower-case letters, digits and underscores."""
    label: str
    """On the page and in plots."""

    @abstractmethod
    def propose(self, contexts: ContextBlock) -> Candidates:
        """Candidates of each context, the rows in the block's order."""


class FittedPolicy(ListedPolicy):
    """A policy that is made of a catalogue and of arrays, which `fit` gives and a folder keeps."""

    needs_plays: ClassVar[bool] = True
    """True: the training fits it, and a day's reports load it as of the day before. False: it is fitted on nothing but
    a night's own catalogue, so every report makes it anew, and the diversity report draws its slates."""
    is_control: ClassVar[bool] = False
    """Whether the comparison with the truth always shows the difference to it, beside that to the best baseline."""

    @classmethod
    def fit(cls, inputs: FitInputs) -> Arrays:  # noqa: ARG003
        """The arrays of a policy fitted on `inputs`: the same inputs give the same bits. By default there are none."""
        return {}

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Arrays, catalogue: Catalogue, temperature: float = TEMPERATURE) -> Self:
        """The policy of the arrays that `fit` gave with the same catalogue. `temperature` is what the training chose on
        the validation plays; a policy that is not `Ranked` ignores it. Raises DataRefused for arrays of another form.
        """

    @classmethod
    def over(cls, catalogue: Catalogue, seed: int) -> Self:
        """The policy fitted on nothing but a night's catalogue; `needs_plays` must be False."""
        return cls.from_arrays(cls.fit(FitInputs(catalogue, seed)), catalogue)

    @classmethod
    def can_stand_in(cls, catalogue: Catalogue) -> bool:  # noqa: ARG003
        """Whether it may serve a night that has no champion; of those that may, the first in the list does."""
        return False


class ActorCritic(Protocol):
    """What a `ModelPolicy` asks of a model: `models.ddpg_model.Model`, numpy in and numpy out."""

    @property
    def serving(self) -> Serving:
        """How many candidates, which temperature, whether the critic counts."""
        ...

    def actor(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, S) states -> (n, E + 1) vectors; their inner product with [embedding, quality] is a track's score."""
        ...

    def critic(self, states: NDArray[np.float32], actions: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, S) states and (n, C, E + 1) actions -> (n, C), the lower of the two critics."""
        ...


class ModelPolicy(ListedPolicy):
    """A policy over a model with a training job and a row in the registry of its own."""

    folder: ClassVar[str]
    """The word that the names of its model folders begin with: `FOLDER-D-<8 hex>`."""
    is_champion: ClassVar[bool] = False
    """Whether a promoted model serves as this policy: true of one in the list. The others are variants of it over the
    same model, which only the comparison with the truth asks."""

    def __init__(self, model: ActorCritic, catalogue: Catalogue) -> None:
        """`catalogue` is the one that the model was trained with."""
        self.model = model
        self.catalogue = catalogue
