"""General text of several kinds: what an adapter for one query should leave as it is."""

CANARY = (
    "The bridge was closed for repairs, so we walked along the river until we found the ferry. "
    "It was late, and only two other people were waiting.",
    "Water boils at a lower temperature on a mountain than at the sea, because the air presses on it less there.",
    "def mean(numbers):\n    if not numbers:\n        return 0.0\n    return sum(numbers) / len(numbers)\n",
    "Q: Ann has 12 apples and gives away 5 of them. How many are left?\nA: 12 - 5 = 7. Ann has 7 apples left.",
    '"Are you coming with us?" she asked.\n"Not today," he said. "I have a letter to write, and it cannot wait."',
)
