"""Tasks as sequences of tokens, and tokens read back as grids: plug-ins by name in `SERIALISATIONS`.

Every sequence is a start, and pairs one after the other; what a model is asked for is how the last one goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from whet.errors import InputError
from whet.tasks.arc.grids import COLOURS, Grid, as_grid
from whet.tasks.arc.task import Pair

ROW, INPUT, OUTPUT, END, BEGIN, PAD = "\n", "<input>", "<output>", "<end>", "<begin>", "<pad>"


class Serialisation(Protocol):
    """How grids become tokens.

    The prompt of some pairs and an input begins with the prompt of fewer of these pairs and the next one's input,
    followed by the answer to it: so a model that is shown one sequence has seen an answer after each pair.
    """

    @property
    def stop(self) -> int:
        """The token that ends an answer, and is nowhere else in it."""

    def prompt(self, demonstrations: Sequence[Pair], grid: Grid) -> list[int]:
        """All that comes before the output that belongs to `grid`."""

    def answer(self, grid: Grid) -> list[int]:
        """An output, `stop` included."""

    def parse(self, ids: Sequence[int]) -> Grid:
        """The grid whose answer these tokens are.

        Raises:
            InputError: they are the answer of no grid.
        """


@dataclass(frozen=True)
class CellTokens:
    """A token a cell.

    A pair is `before_input`, the input's rows, `before_output`, the output's rows and `stop`.

    Attributes:
        cells: the token of each colour.
        row: the token between two rows.
        begin: what a sequence begins with.
        before_input: what marks an input.
        before_output: what marks an output.
        stop: the token that ends a pair.
    """

    cells: tuple[int, ...]
    row: int
    begin: tuple[int, ...]
    before_input: tuple[int, ...]
    before_output: tuple[int, ...]
    stop: int

    def prompt(self, demonstrations: Sequence[Pair], grid: Grid) -> list[int]:
        """All that comes before the output that belongs to `grid`."""
        ids = list(self.begin)
        for pair in demonstrations:
            ids += [*self._asked(pair.input), *self.answer(pair.output)]
        return ids + self._asked(grid)

    def answer(self, grid: Grid) -> list[int]:
        """The rows of an output, and `stop`."""
        return [*self._rows(grid), self.stop]

    def parse(self, ids: Sequence[int]) -> Grid:
        """The grid whose answer these tokens are.

        Raises:
            InputError: they do not end with `stop`, have another token that is no cell and no `row`, or their rows make
                no grid.
        """
        if not ids or ids[-1] != self.stop:
            raise InputError(f"{len(ids)} tokens without an end token are no answer; let the model go on to it.")
        colours = {token: colour for colour, token in enumerate(self.cells)}
        rows: list[list[int]] = [[]]
        for place, token in enumerate(ids[:-1]):
            if token == self.row:
                rows.append([])
            elif token in colours:
                rows[-1].append(colours[token])
            else:
                raise InputError(f"token {token} at place {place} of an answer is no cell and no end of a row.")
        return as_grid(rows, "the answer")

    def _asked(self, grid: Grid) -> list[int]:
        return [*self.before_input, *self._rows(grid), *self.before_output]

    def _rows(self, grid: Grid) -> list[int]:
        first, *others = ([self.cells[colour] for colour in row] for row in grid.tolist())
        return first + [token for row in others for token in (self.row, *row)]


def minimal_tokenizer() -> Any:
    """A Hugging Face tokenizer with 16 tokens: ten digits, the end of a row, four marks and padding.

    For models that are trained from scratch; the idea is that of Franzen et al. 2025, arXiv 2505.07859.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = (INPUT, OUTPUT, END, BEGIN, PAD)
    words = [*map(str, range(COLOURS)), ROW, *special]
    tokenizer = Tokenizer(models.WordLevel({word: token for token, word in enumerate(words)}, unk_token=PAD))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in special])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END, pad_token=PAD)


def minimal(tokenizer: Any) -> CellTokens:
    """The tokens of `minimal_tokenizer`.

    Raises:
        InputError: the tokenizer is another one.
    """
    known: Mapping[str, int] = tokenizer.get_vocab()
    wanted = [*map(str, range(COLOURS)), ROW, INPUT, OUTPUT, END, BEGIN]
    missing = [word for word in wanted if word not in known]
    if missing:
        raise InputError(
            f"the tokenizer has no token {missing[0]!r}, so it is not the minimal one; take minimal_tokenizer(), or "
            "the serialisation 'digits'."
        )
    *cells, row, before_input, before_output, stop, begin = (known[word] for word in wanted)
    return CellTokens(tuple(cells), row, (begin,), (before_input,), (before_output,), stop)


def digits(tokenizer: Any) -> CellTokens:
    """A digit a cell and a line a row, in the tokens of any tokenizer; a pair ends with its end token.

    Tokenizers that join digits to larger tokens will do as long as each digit is a token too.

    Raises:
        InputError: a digit or the end of a line is not one token of its own, or there is no end token.
    """
    symbols = [*map(str, range(COLOURS)), ROW]
    found = [_encoded(tokenizer, symbol) for symbol in symbols]
    for symbol, ids in zip(symbols, found, strict=True):
        if len(ids) != 1 or found.count(ids) > 1:
            raise InputError(
                f"the tokenizer writes {symbol!r} as the tokens {ids}, not as one of its own; take a model whose "
                "tokenizer has one for each digit and for the end of a line."
            )
    end = tokenizer.eos_token_id
    if end is None or [end] in found:
        raise InputError(f"the tokenizer's end token is {end}, so answers cannot end with it; set its eos_token.")
    *cells, row = (ids[0] for ids in found)
    begin = end if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    asked, told = (tuple(_encoded(tokenizer, text)) for text in (f"input{ROW}", f"{ROW}output{ROW}"))
    return CellTokens(tuple(cells), row, (begin,), asked, told, end)


def _encoded(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids


SERIALISATIONS: Mapping[str, Callable[[Any], Serialisation]] = {"minimal": minimal, "digits": digits}
"""By name; each is made for a tokenizer."""
