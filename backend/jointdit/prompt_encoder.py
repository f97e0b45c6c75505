# SPDX-FileCopyrightText: 2026 JointDiT for Blender authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small text encoder in both of FLUX's roles, for the embedded model: BERT's token states, and their mean as the pooled vector."""

from __future__ import annotations

from torch import Tensor
from transformers import BertModel, PreTrainedModel  # noqa: F401  from_pretrained of a pipeline looks for PreTrainedModel in the module of ours
from transformers.modeling_outputs import BaseModelOutputWithPooling


class PromptEncoder(BertModel):
    """BERT that knows padding by its token id, since FLUX's pipelines pass ids alone.

    Padded places get states too (FLUX attends to them), but no word listens to them, and they do not count in the pooled vector.
    """

    def __init__(self, config) -> None:
        super().__init__(config, add_pooling_layer=False)

    def forward(self, input_ids: Tensor) -> BaseModelOutputWithPooling:
        """(N, T) token ids -> `last_hidden_state` (N, T, D) and `pooler_output` (N, D), the mean over the words, as sentence encoders are read."""
        words = input_ids.ne(self.config.pad_token_id)
        states = super().forward(input_ids=input_ids, attention_mask=words.long()).last_hidden_state
        weight = words[..., None].to(states.dtype)
        return BaseModelOutputWithPooling(last_hidden_state=states, pooler_output=(states * weight).sum(1) / weight.sum(1))
