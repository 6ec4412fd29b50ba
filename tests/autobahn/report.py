"""report.py INDEX COUNT [whole]: prints the results of the suite, one line for each group, and exits with 1 if one is unexpected.

For the suite, an endpoint that only drops the connection is OK. This script also requires our Close
frame with the right code in each case. With `whole`, the endpoint reads whole frames, to deliver
them in place, and finds invalid text in a frame when its last byte has arrived.
"""
import collections
import json
import sys

# These cases always report INFORMATIONAL.
INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}
# Invalid text in the first part of a frame whose last part comes later.
LATE = {"6.4.3", "6.4.4"} if sys.argv[3:] == ["whole"] else set()


def closes_with(case):
    """The code of our Close frame: that of the error in the case, or else the code of the suite."""
    group, *rest = case.split(".")
    number = int(rest[-1])
    if case in INVALID_TEXT or case == "7.5.1":
        return 1007
    if group in ("3", "4") or case in ("2.5", "7.3.2", "7.3.6") or case.startswith(("7.9.", "7.13.")):
        return 1002
    if group == "5" and (number in (1, 2) or 9 <= number <= 18):
        return 1002
    if case == "7.3.1":
        return None  # an empty Close frame is answered by an empty one
    if case.startswith("7.7."):
        return CODES_7_7[number - 1]
    return 1000


CODES_7_7 = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]

# The cases of group 6 with invalid UTF-8.
INVALID_TEXT = {"6.%d.%d" % (group, number) for group, numbers in {
    3: [1, 2], 4: [1, 2, 3, 4], 6: [1, 3, 4, 6, 8, 10], 8: [1, 2], 10: [1, 2, 3], 11: [5], 12: range(1, 9),
    13: range(1, 6), 14: range(1, 11), 15: [1], 16: [1, 2, 3], 17: range(1, 6), 18: range(1, 6), 19: range(1, 6),
    20: range(1, 8), 21: range(1, 9),
}.items() for number in numbers}

(agent, cases), = json.load(open(sys.argv[1])).items()
wrong = []
groups = collections.defaultdict(collections.Counter)
for case, result in cases.items():
    expected = "INFORMATIONAL" if case in INFORMATIONAL else "OK"
    results = (result["behavior"], result["behaviorClose"])
    if case in LATE and results == ("NON-STRICT", "OK"):
        results = ("OK", "OK")
    groups[int(case.split(".")[0])][results[0]] += 1
    if results != (expected, expected):
        wrong.append("%s: %s, close %s" % ((case,) + results))
    codes = (result["remoteCloseCode"], closes_with(case))
    if codes[0] != codes[1]:
        wrong.append("%s: our Close frame had code %s, not %s" % ((case,) + codes))
if len(cases) != int(sys.argv[2]):
    wrong.append("%d cases ran, not %s" % (len(cases), sys.argv[2]))
print("%s: %d cases" % (agent, len(cases)))
for group in sorted(groups):
    print("  group %2d: %s" % (group, ", ".join("%d %s" % (n, name) for name, n in groups[group].items())))
for line in wrong:
    print("  WRONG", line)
sys.exit(1 if wrong else 0)
