#!/usr/bin/env python3
"""Compile *.rules into a C table: make_rules.py OUT.c RULES...

With --commands, commands.rules."""

import sys

CHECKS = """none luhn iban bsn nir dni codice-fiscale steuer-id pesel
personnummer hetu ahv nrn cpf resident-id verhoeff phone""".split()
KINDS = ["secrets", "card", "iban", "national-id", "phone",
         "email", "address"]

# What may stand between a name that holds the word and its value, and what
# must come behind the value.
ASSIGN = (r"[\w.-]{0,25}[\"'`\])\\]{0,4}\s{0,3}(?::=|=>|={1,3}|:{1,2}|\?=|,)"
          r"\s{0,3}[\"'`\\]{0,4}")
ASSIGN_END = r"(?=[\"'`\s;,)\]}<>&\\]|$)"


def fail(path, number, text):
    sys.exit(f"{path}:{number}: {text}")


def escape(word):
    return "".join("\\" + c if c in r".^$*+?()[]{}|\/-" else c for c in word)


def read(path):
    kind, rules = None, []
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        line = line.rstrip("\n")
        if not line or line.startswith("#"):
            continue
        key, _, value = line.partition(" ")
        if key == "kind":
            if value not in KINDS:
                fail(path, number, f"there is no kind {value}")
            kind = value
        elif key == "rule":
            name, _, about = value.partition("\t")
            rules.append({"id": name, "about": about.strip(), "kind": kind,
                          "words": [], "triggers": [], "back": 0,
                          "entropy": 0.0, "check": "none", "generic": False,
                          "random": False, "begin": 0, "yes": 0, "no": 0,
                          "line": number})
        elif not rules:
            fail(path, number, "comes before any rule")
        elif key == "words":
            rules[-1]["words"] += value.split()
        elif key == "trigger":
            rules[-1]["triggers"] += split_triggers(value)
        elif key in ("match", "assign"):
            rules[-1][key] = value
        elif key == "back":
            rules[-1]["back"] = int(value)
        elif key == "begin":
            rules[-1]["begin"] = ord(value)
        elif key == "entropy":
            rules[-1]["entropy"] = float(value)
        elif key == "check":
            if value not in CHECKS:
                fail(path, number, f"there is no check {value}")
            rules[-1]["check"] = value
        elif key in ("generic", "random"):
            rules[-1][key] = True
        elif key in ("yes", "no"):
            rules[-1][key] += 1
        else:
            fail(path, number, f"there is no {key}")
    for rule in rules:
        finish(path, rule)
    return rules


def split_triggers(value):
    """Expressions stand apart by a space outside brackets."""
    parts, depth = [""], 0
    for c in value:
        depth += {"[": 1, "]": -1}.get(c, 0)
        if c == " " and not depth:
            parts.append("")
        else:
            parts[-1] += c
    return [p for p in parts if p]


def finish(path, rule):
    if not rule["yes"] or not rule["no"]:
        fail(path, rule["line"], f"{rule['id']} needs a yes and a no")
    if not rule["words"] and not rule["triggers"]:
        fail(path, rule["line"], f"{rule['id']} has no words")
    if "assign" in rule:
        words = "|".join(escape(w) for w in sorted(rule["words"], key=len,
                                                   reverse=True))
        rule["match"] = (f"(?i:{words}){ASSIGN}((?:{rule['assign']}))"
                         f"{ASSIGN_END}")
    if "match" not in rule:
        fail(path, rule["line"], f"{rule['id']} matches nothing")
    rule["triggers"] += [escape(w) for w in rule["words"]]
    rule["caseless"] = "assign" in rule or rule["match"].startswith("(?i)")


def quoted(text):
    out = ""
    for byte in text.encode():
        c = chr(byte)
        out += ("\\" + c if c in "\"\\" else
                c if 32 <= byte < 127 and c != "?" else f"\\{byte:03o}")
    return f'"{out}"'


FORMS = """as-other-user preload download-and-run reverse-shell send-secret
hide-secret dns-tunnel hidden-command remove-all write-device fork-bomb""".split()
COMMAND_KINDS = ["privilege", "remote", "destructive", "risky"]


def read_clause(path, number, key, value):
    if key == "run":
        return "RUN", value.split()
    if key == "write":
        return "WRITE", value.split()
    if key in ("says", "sql"):
        return key.upper(), value.split(" ", 1)
    if value not in FORMS:
        fail(path, number, f"there is no form {value}")
    return "FORM", [value]


def read_commands(path):
    kind, rules = None, []
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        line = line.rstrip("\n")
        if not line or line.startswith("#"):
            continue
        key, _, value = line.partition(" ")
        if key == "kind":
            if value not in COMMAND_KINDS:
                fail(path, number, f"there is no kind {value}")
            kind = value
        elif key == "rule":
            name, _, about = value.partition("\t")
            rules.append({"id": name, "about": about.strip(), "kind": kind,
                          "clauses": [], "yes": 0, "no": 0})
        elif key in ("yes", "no"):
            rules[-1][key] += 1
        elif key in ("run", "write", "says", "sql", "form"):
            rules[-1]["clauses"].append(read_clause(path, number, key, value))
        else:
            fail(path, number, f"there is no {key}")
    return rules


def make_commands(out_path, path):
    rules = read_commands(path)
    with open(out_path, "w", encoding="utf-8") as out:
        out.write("/* Made by toolcall/make_rules.py; do not edit. */\n\n"
                  '#include "toolcall/commands/command_rules.h"\n\n')
        for i, rule in enumerate(rules):
            if not rule["yes"] or not rule["no"]:
                sys.exit(f"{rule['id']} needs a yes and a no")
            for j, (_, words) in enumerate(rule["clauses"]):
                out.write(f"static const char *const words_{i}_{j}[] = {{"
                          + ", ".join(quoted(w) for w in words)
                          + ", NULL};\n")
            out.write(f"static const struct clause clauses_{i}[] = {{\n")
            for j, (form, words) in enumerate(rule["clauses"]):
                name = (words[0].replace("-", "_").upper()
                        if form == "FORM" else "NONE")
                out.write(f"\t{{CLAUSE_{form}, FORM_{name}, "
                          f"words_{i}_{j}}},\n")
            out.write("};\n\n")
        out.write("const struct command_rule command_rules[] = {\n")
        for i, rule in enumerate(rules):
            out.write(f"\t{{{quoted(rule['id'])}, {quoted(rule['about'])}, "
                      f"POLICY_INSPECT_{rule['kind'].upper()}, "
                      f"clauses_{i}, {len(rule['clauses'])}}},\n")
        out.write("};\n\nconst size_t command_rule_count = "
                  "sizeof(command_rules) / sizeof(command_rules[0]);\n")


def main():
    if sys.argv[1] == "--commands":
        make_commands(sys.argv[2], sys.argv[3])
        return
    rules = [rule for path in sys.argv[2:] for rule in read(path)]
    seen = set()
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.write("/* Made by toolcall/make_rules.py; do not edit. */\n\n"
                  '#include "toolcall/search/rules.h"\n\n')
        for i, rule in enumerate(rules):
            if rule["id"] in seen:
                sys.exit(f"{rule['id']}: there twice")
            seen.add(rule["id"])
            out.write(f"static const char *const triggers_{i}[] = {{\n")
            for trigger in rule["triggers"]:
                out.write(f"\t{quoted(trigger)},\n")
            out.write("\tNULL,\n};\n\n")
        out.write("const struct rule rules[] = {\n")
        for i, rule in enumerate(rules):
            kind = rule["kind"].replace("-", "_").upper()
            check = rule["check"].replace("-", "_").upper()
            out.write(f"\t{{{quoted(rule['id'])}, {quoted(rule['about'])},\n"
                      f"\t {quoted(rule['match'])},\n"
                      f"\t triggers_{i}, POLICY_INSPECT_{kind}, "
                      f"CHECK_{check}, {rule['back']}, "
                      f"{rule['entropy']}, {int(rule['caseless'])}, "
                      f"{int(rule['generic'])}, {int(rule['random'])}, "
                      f"{rule['begin']}}},\n")
        out.write("};\n\nconst size_t rule_count = "
                  "sizeof(rules) / sizeof(rules[0]);\n")


main()
