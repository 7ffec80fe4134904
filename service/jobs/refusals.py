"""Why an explanation cannot be had, now or at all."""

from __future__ import annotations

from service.errors import Refusal

__all__ = [
    "AnswerTooLarge",
    "ExplanationFailed",
    "ExplanationLost",
    "StoreDown",
    "StoreFull",
    "StoredRefusal",
    "TooManyJobs",
    "UnknownExplanation",
]

SOON = {"Retry-After": "5"}


class UnknownExplanation(Refusal):
    """No explanation of that id, none any more, or another caller's: nobody learns which."""

    status, code = 404, "unknown_explanation"

    def __init__(self) -> None:
        super().__init__("There is no explanation of that id, or it has expired.")


class TooManyJobs(Refusal):
    """Enough explanations are waiting already."""

    status, code = 503, "too_many_explanations"

    def __init__(self) -> None:
        message = "Too many explanations are waiting; try again, or ask without Prefer."
        super().__init__(message, SOON)


class StoreFull(Refusal):
    """The store holds as many answers, or bytes, as it may."""

    status, code = 503, "explanations_full"

    def __init__(self) -> None:
        message = "No more explanations can be kept now; try again, or ask without Prefer."
        super().__init__(message, SOON)


class StoreDown(Refusal):
    """The store does not answer."""

    status, code = 503, "explanations_unavailable"

    def __init__(self) -> None:
        super().__init__("The store of explanations does not answer; try again.", SOON)


class AnswerTooLarge(Refusal):
    """One answer is larger than the whole store may be."""

    status, code = 413, "answer_too_large"

    def __init__(self) -> None:
        message = "The answer is too large to be kept; send fewer rows, or ask without Prefer."
        super().__init__(message)


class ExplanationLost(Refusal):
    """The process that worked on it is gone."""

    status, code = 503, "explanation_lost"

    def __init__(self) -> None:
        message = "The server stopped before the explanation was done; send the rows again."
        super().__init__(message, {"Retry-After": "1"})


class ExplanationFailed(Refusal):
    """The explanation ran into a bug."""

    status, code = 500, "internal_error"

    def __init__(self) -> None:
        super().__init__(
            "An unexpected error happened. The server's log has it under the id of the request "
            "that the rows came with."
        )


class StoredRefusal(Refusal):
    """What a job was refused, told when it is fetched."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str]) -> None:
        self.status, self.code = status, code
        super().__init__(message, headers)
