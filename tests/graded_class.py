"""A graded class: the same each time, with names and texts that are hostile."""

import random

from workbook.exercises import EXERCISES, Exercise
from workbook.grades import Grade, GradedClass, Limit, Student
from workbook.runner import Outcome

SCRIPT = "<script>document.title = 'ran'</script><img src=x onerror=\"document.title='ran'\">"
HOSTILE = [
    SCRIPT,
    '=HYPERLINK("http://127.0.0.1/?"&A1)',
    "＝1+1",
    "  @SUM(1;1)",
    "a;=1+1",
    "\t-2+3",
    'two\r\nlines,"quoted"',
    "../../../etc/passwd",
    "..",
    "",
    "CON",
    "con.txt",
    "Ann",
    "ANN",
    "ann",
    "long " * 100,
    "\u202egnp.exe",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07 \x07\x00",
    "half \udc80\ud83d \uffff",
    "{{ 7*7 }}{% raw %}&lt;",
    "z\u0335\u0321\u0322\u0323a\u0335\u0336\u0337l\u0338g\u0339o " + "e" + "\u0301" * 40,
    "张伟-\n2023001",
]
CHINESE = [a + b for a in "王李张刘陈杨黄赵" for b in ("伟", "芳", "秀英", "敏", "静")]
ADVICE = (
    "did:      asked for a report ten times at once\n"
    "expected: all ten have come after the time of one\n"
    "seen:     {seen}"
)


def fail(exercise: Exercise, check: str, hint: int | None, seen: str) -> Outcome:
    return Outcome(check, exercise.titles[check], False, ADVICE.format(seen=seen), hint)


def solved(exercise: Exercise) -> Grade:
    return Grade(exercise, tuple(Outcome(c, t, True) for c, t in exercise.titles.items()))


def grade(exercise: Exercise, chance: random.Random, seen: str) -> Grade:
    dice = chance.random()
    if dice < 0.1:
        return Grade(exercise, (), missing=True)
    if dice < 0.12:
        return Grade(exercise, (), note="It is not UTF-8: byte 0xff at 17")
    skill = 1.0 if dice < 0.6 else chance.choice([0, 0.5, 0.8])
    outcomes = []
    for check, title in exercise.titles.items():
        if chance.random() < skill:
            outcomes.append(Outcome(check, title, passed=True))
        else:
            hint = chance.choice([None, 1, 1, 1, 2, 3])
            outcomes.append(fail(exercise, check, hint, f"{seen}, {chance.randrange(9)} s"))
    return Grade(exercise, tuple(outcomes))


def school_class(size: int) -> GradedClass:
    """The same class each time: hostile names, Chinese ones, and others."""
    chance = random.Random(5)
    names = [*HOSTILE, *CHINESE, *(f"Student {n:03}" for n in range(100))][:size]
    students = []
    for n, name in enumerate(names):
        seen = name if n < len(HOSTILE) else "one after another"
        grades = tuple(grade(exercise, chance, seen) for exercise in EXERCISES)
        if n % 10 == 9:
            grades = tuple(map(solved, EXERCISES))
        notes = (
            (f"two copies of unblock.py: the newer one is graded {SCRIPT}",) if n % 20 == 3 else ()
        )
        ungraded = "the zip is broken: bad magic number" if n % 33 == 5 else ""
        if ungraded:
            grades = tuple(Grade(e, ()) for e in EXERCISES)
        students.append(Student(name, grades, notes, ungraded))
    limits = [
        Limit("take more than 512 MB of memory", True, "resource, cgroup"),
        Limit("connect elsewhere", False, "install bubblewrap: apt install bubblewrap"),
    ]
    return GradedClass(students, limits)


GRADED = school_class(40)
