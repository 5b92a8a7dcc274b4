"""The table of model families: which configuration and which model a checkpoint of each holds."""

from __future__ import annotations

from pydantic import BaseModel

from edgernn.models.captioner import Captioner, CaptionerConfig
from edgernn.models.family import RecurrentModel
from edgernn.models.language import LanguageConfig, LanguageModel

FAMILIES: dict[str, tuple[type[BaseModel], type[RecurrentModel]]] = {
    LanguageModel.family: (LanguageConfig, LanguageModel),
    Captioner.family: (CaptionerConfig, Captioner),
}
