"""What grading found, in the form that its report, files and resumption share."""

from dataclasses import dataclass, field

from workbook.exercises import EXERCISES, Exercise
from workbook.runner import Outcome


@dataclass(frozen=True)
class Grade:
    """One student's answer to one exercise. The share of its checks that passed is its score."""

    exercise: Exercise
    outcomes: tuple[Outcome, ...]
    note: str = ""  # why there is no answer to check, or what was peculiar about it
    missing: bool = False  # nothing was handed in

    @property
    def solved(self) -> bool:
        """Whether every check has run and passed: none run is no pass."""
        return bool(self.outcomes) and all(outcome.passed for outcome in self.outcomes)

    @property
    def passed(self) -> int:
        """How many of its checks passed."""
        return sum(outcome.passed for outcome in self.outcomes)

    @property
    def score(self) -> float:
        """From 0 to 1: the share of the exercise's checks that passed."""
        return self.passed / len(self.exercise.titles)


@dataclass(frozen=True)
class Student:
    """A submission, graded. `name` is the folder's or zip's; notes are for the instructor."""

    name: str
    grades: tuple[Grade, ...]  # one for each of EXERCISES, in their order
    notes: tuple[str, ...] = ()  # what could not be read, and what was chosen among copies
    ungraded: str = ""  # why it could not be graded at all, or in part

    @property
    def solved(self) -> int:
        """How many exercises are solved."""
        return sum(grade.solved for grade in self.grades)

    @property
    def score(self) -> float:
        return sum(grade.score for grade in self.grades)


@dataclass(frozen=True)
class Limit:
    """Something that a submission must not do, and whether this machine could enforce it."""

    what: str
    held: bool
    how: str  # by what it is enforced, or what to install so that it is


@dataclass(frozen=True)
class GradedClass:
    students: list[Student]
    limits: list[Limit] = field(default_factory=list)

    MAX_SCORE = float(len(EXERCISES))
