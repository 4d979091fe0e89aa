#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Generates daemon/python/offsets.inc from the debug information of CPython builds.

    tests/tools/offsets.py VERSION=FILE... >daemon/python/offsets.inc

FILE is a libpython or python with DWARF, or a detached debug file; VERSION is its full version (3.11.2). The first
build of a minor version gives the row; further ones are compared with it and every difference is told on stderr.
Debian's python3.X-dbg has the detached debug files of the normal build in /usr/lib/debug/.build-id, named by the build
id of libpython3.X.so.1.0; libpython3.Xd.so in it is a Py_DEBUG build, which is refused here.
Needs gdb with Python.
"""
import json
import re
import subprocess
import sys
import tempfile

NONE = "TARGET_NONE"
OPTIONAL = None

# C field -> where it is: (type, path); the first alternative that exists wins. Names are CPython's own.
RUNTIME, INTERP, TSTATE = "struct pyruntimestate", "struct _is", "struct _ts"
FRAME, IFRAME, CODE = "struct _frame", "struct _PyInterpreterFrame", "PyCodeObject"
ASCII, KEYS, DICT, TYPE = "PyASCIIObject", "struct _dictkeysobject", "PyDictObject", "PyTypeObject"

TARGET = {
    "runtime_interpreters_head": [(RUNTIME, "interpreters.head")],
    "runtime_tstate_current": [(RUNTIME, "gilstate.tstate_current"), OPTIONAL],
    "interp_next": [(INTERP, "next")],
    "interp_threads_head": [(INTERP, "threads.head"), (INTERP, "tstate_head")],
    "tstate_next": [(TSTATE, "next")],
    "tstate_interp": [(TSTATE, "interp")],
    "tstate_thread_id": [(TSTATE, "thread_id")],
    "tstate_frame": [(TSTATE, "frame"), (TSTATE, "cframe"), (TSTATE, "current_frame")],
    "tstate_status": [(TSTATE, "_status"), OPTIONAL],
    "tstate_datastack": [(TSTATE, "datastack_chunk"), OPTIONAL],
    "cframe_current_frame": [(TSTATE, "cframe->current_frame"), OPTIONAL],
    "frame_code": [(IFRAME, "f_executable"), (IFRAME, "f_code"), (FRAME, "f_code")],
    "frame_previous": [(IFRAME, "previous"), (FRAME, "f_back")],
    "frame_instr": [(IFRAME, "instr_ptr"), (IFRAME, "prev_instr"), (FRAME, "f_lasti")],
    "frame_owner": [(IFRAME, "owner"), OPTIONAL],
    "code_name": [(CODE, "co_name")],
    "code_qualname": [(CODE, "co_qualname"), OPTIONAL],
    "code_filename": [(CODE, "co_filename")],
    "code_firstlineno": [(CODE, "co_firstlineno")],
    "code_linetable": [(CODE, "co_linetable"), (CODE, "co_lnotab")],
    "code_start": [(CODE, "co_code_adaptive"), OPTIONAL],
    "object_type": [("PyObject", "ob_type")],
    "unicode_length": [(ASCII, "length")],
    "unicode_state": [(ASCII, "state")],
    "unicode_ascii_data": [(ASCII, "sizeof")],
    "unicode_compact_data": [("PyCompactUnicodeObject", "sizeof")],
    "bytes_size": [("PyBytesObject", "ob_base.ob_size")],
    "bytes_data": [("PyBytesObject", "ob_sval")],
}
OBJECTS = {
    "interp_modules": [(INTERP, "imports.modules"), (INTERP, "modules")],
    "module_dict": [("PyModuleObject", "md_dict")],
    "type_flags": [(TYPE, "tp_flags")],
    "type_dictoffset": [(TYPE, "tp_dictoffset")],
    "type_name": [(TYPE, "tp_name")],
    "type_basicsize": [(TYPE, "tp_basicsize")],
    "type_cached_keys": [("PyHeapTypeObject", "ht_cached_keys")],
    "dict_used": [(DICT, "ma_used")],
    "dict_keys": [(DICT, "ma_keys")],
    "dict_values": [(DICT, "ma_values")],
    "keys_size": [(KEYS, "dk_size"), OPTIONAL],
    "keys_log2_size": [(KEYS, "dk_log2_size"), OPTIONAL],
    "keys_kind": [(KEYS, "dk_kind"), OPTIONAL],
    "keys_nentries": [(KEYS, "dk_nentries")],
    "keys_entries": [(KEYS, "dk_indices")],
    "values_valid": [("struct _dictvalues", "valid"), OPTIONAL],
    "long_size": [("PyLongObject", "long_value.lv_tag"), ("PyLongObject", "ob_base.ob_size")],
    "long_digits": [("PyLongObject", "long_value.ob_digit"), ("PyLongObject", "ob_digit")],
}
BITS = {
    "unicode_kind_shift": (ASCII, "state.kind", "state"),
    "unicode_compact_bit": (ASCII, "state.compact", "state"),
    "unicode_ascii_bit": (ASCII, "state.ascii", "state"),
}
# What the interpreter says of itself from 3.13 on: C field -> where in _Py_DebugOffsets.
DESCRIBED = {
    "target": {
        "runtime_interpreters_head": "runtime_state.interpreters_head",
        "interp_next": "interpreter_state.next",
        "interp_threads_head": "interpreter_state.threads_head",
        "tstate_next": "thread_state.next",
        "tstate_interp": "thread_state.interp",
        "tstate_thread_id": "thread_state.thread_id",
        "tstate_frame": "thread_state.current_frame",
        "tstate_status": "thread_state.status",
        "tstate_datastack": "thread_state.datastack_chunk",
        "frame_code": "interpreter_frame.executable",
        "frame_previous": "interpreter_frame.previous",
        "frame_instr": "interpreter_frame.instr_ptr",
        "frame_owner": "interpreter_frame.owner",
        "code_name": "code_object.name",
        "code_qualname": "code_object.qualname",
        "code_filename": "code_object.filename",
        "code_firstlineno": "code_object.firstlineno",
        "code_linetable": "code_object.linetable",
        "code_start": "code_object.co_code_adaptive",
        "object_type": "pyobject.ob_type",
        "unicode_length": "unicode_object.length",
        "unicode_state": "unicode_object.state",
        "unicode_ascii_data": "unicode_object.asciiobject_size",
        "bytes_size": "bytes_object.ob_size",
        "bytes_data": "bytes_object.ob_sval",
    },
    "objects": {
        "interp_modules": "interpreter_state.imports_modules",
        "type_name": "type_object.tp_name",
        "type_flags": "type_object.tp_flags",
        "dict_keys": "dict_object.ma_keys",
        "dict_values": "dict_object.ma_values",
        "long_size": "long_object.lv_tag",
        "long_digits": "long_object.ob_digit",
    },
}
# What the reads of the thread state, the frame and the code object must cover: fields and their sizes.
TSTATE_READ = {"tstate_next": 8, "tstate_interp": 8, "tstate_thread_id": 8, "tstate_frame": 8, "tstate_status": 4,
               "tstate_datastack": 8}
FRAME_READ = {"frame_code": 8, "frame_previous": 8, "frame_instr": 8, "frame_owner": 1}
CODE_READ = {"code_name": 8, "code_qualname": 8, "code_filename": 8, "code_firstlineno": 4, "code_linetable": 8}

# Runs inside gdb: answers questions read from a file, each with the position in bits or None.
INSIDE = r"""
import gdb, json

def find(name, path):
    try:
        t = gdb.lookup_type(name).strip_typedefs()
    except gdb.error:
        return None
    if path == "sizeof":
        return t.sizeof * 8
    position = 0
    for step in re_split(path):
        if step == "->":
            t, position = t.target().strip_typedefs(), 0
            continue
        found = member(t, step)
        if found is None:
            return None
        t, position = found[0], position + found[1]
    return position

def re_split(path):
    import re
    return [s for s in re.split(r"(->)|\.", path) if s]

def member(t, name):
    if t.code not in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        return None
    for f in t.fields():
        if f.name == name:
            return f.type.strip_typedefs(), f.bitpos
        if not f.name:
            found = member(f.type.strip_typedefs(), name)
            if found:
                return found[0], f.bitpos + found[1]
    return None

def enum(name, values):
    try:
        fields = gdb.lookup_type(name).fields()
    except gdb.error:
        return None
    return min((f.enumval for f in fields if f.name in values), default=None)

def main():
    with open(QUESTIONS) as f:
        questions = json.load(f)
    answers = [enum(q[0], q[1]) if isinstance(q[1], list) else find(q[0], q[1]) for q in questions]
    debug = gdb.lookup_static_symbol("_Py_NegativeRefcount") or gdb.lookup_global_symbol("_Py_NegativeRefcount")
    print("ANSWERS" + json.dumps({"answers": answers, "debug": debug is not None}))

main()
"""


class Build:
    def __init__(self, version, path):
        self.version, self.path = version, path
        self.minor = int(version.split(".")[1])
        self.build_id = build_id(path)
        self.cache = {}

    def ask(self, questions):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as q, tempfile.NamedTemporaryFile("w", suffix=".py") as p:
            json.dump(questions, q)
            q.flush()
            p.write("QUESTIONS = %r\n%s" % (q.name, INSIDE))
            p.flush()
            out = subprocess.run(["gdb", "-nx", "-batch", "-iex", "set auto-load no", "-x", p.name, self.path],
                                 stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout
        answer = json.loads(next(line for line in out.splitlines() if line.startswith("ANSWERS"))[7:])
        if answer["debug"]:
            sys.exit("%s: a Py_DEBUG build" % self.path)
        for question, value in zip(questions, answer["answers"]):
            self.cache[json.dumps(question)] = value

    def bits(self, *question):
        return self.cache[json.dumps(question)]

    def offset(self, name, alternatives):
        for alternative in alternatives:
            if alternative is OPTIONAL:
                return NONE
            value = self.bits(*alternative)
            if value is not None:
                if value % 8 or value // 8 >= 0xffff:
                    sys.exit("%s: %s at bit %d" % (self.path, name, value))
                return value // 8
        sys.exit("%s: no %s" % (self.path, name))

    def row(self):
        self.ask(questions())
        target = {"version": "0x%04x" % (3 << 8 | self.minor)}
        # 3.10 has both frame and cframe, but that cframe is of no use for walking.
        layouts = (("frame", "TARGET_FRAME_OBJECT"), ("cframe", "TARGET_CFRAME"),
                   ("current_frame", "TARGET_CURRENT_FRAME"))
        target["layout"] = next(layout for field, layout in layouts if self.bits(TSTATE, field) is not None)
        if self.bits(RUNTIME, "interpreters.head") is None:
            # 3.6 has no _PyRuntime: the base is the variable interp_head itself.
            target["runtime_interpreters_head"] = 0
        for name, alternatives in TARGET.items():
            if name not in target:
                target[name] = self.offset(name, alternatives)
        active = self.bits(TSTATE, "_status.active")
        target["status_active"] = 0
        if active is not None:
            target["status_active"] = "1u << %d" % (active - self.bits(TSTATE, "_status"))
        skip = self.bits("enum _frameowner", ["FRAME_OWNED_BY_INTERPRETER", "FRAME_OWNED_BY_CSTACK"])
        target["frame_owner_skip"] = NONE if skip is None else skip
        if skip is None or target["layout"] == "TARGET_FRAME_OBJECT":
            target["frame_owner"] = NONE  # 3.11 has owners, but none of them is a shim
            target["frame_owner_skip"] = NONE
        if target["layout"] != "TARGET_CFRAME":
            target["cframe_current_frame"] = NONE
        target["tstate_size"] = span(target, TSTATE_READ)
        target["frame_size"] = span(target, FRAME_READ)
        target["code_size"] = span(target, CODE_READ)
        target["code_fields"] = min(target[name] for name in CODE_READ if target[name] != NONE) // 8 * 8
        for name, (type_name, path, base) in BITS.items():
            target[name] = self.bits(type_name, path) - self.bits(type_name, base)
        objects = {name: self.offset(name, alternatives) for name, alternatives in OBJECTS.items()}
        values = self.bits("struct _dictvalues", "values")
        objects["values_values"] = 0 if values is None else values // 8
        size = self.bits(RUNTIME, "sizeof")
        objects["runtime_size"] = 0 if target["runtime_tstate_current"] == NONE else size // 8
        return {"target": target, "objects": objects, "described": self.described()}

    def described(self):
        if self.bits(RUNTIME, "debug_offsets.free_threaded") is None:
            return {}
        base = self.bits(RUNTIME, "debug_offsets")
        rows = {"debug_free_threaded": (self.bits(RUNTIME, "debug_offsets.free_threaded") - base) // 8}
        for part, fields in DESCRIBED.items():
            for name, path in fields.items():
                position = self.bits(RUNTIME, "debug_offsets." + path)
                if position is None:
                    sys.exit("%s: _Py_DebugOffsets has no %s" % (self.path, path))
                rows["%s.%s" % (part, name)] = (position - base) // 8
        return rows


def questions():
    asked = [a for table in (TARGET, OBJECTS) for alternatives in table.values() for a in alternatives if a]
    asked += [(t, p) for t, path, base in BITS.values() for p in (path, base)]
    asked += [(RUNTIME, "debug_offsets." + path) for fields in DESCRIBED.values() for path in fields.values()]
    asked += [(RUNTIME, "debug_offsets"), (RUNTIME, "debug_offsets.free_threaded")]
    asked += [(TSTATE, "current_frame"), (TSTATE, "cframe"), (TSTATE, "frame"), (TSTATE, "_status"),
              (TSTATE, "_status.active"), ("struct _dictvalues", "values"), (RUNTIME, "sizeof"),
              ("enum _frameowner", ["FRAME_OWNED_BY_INTERPRETER", "FRAME_OWNED_BY_CSTACK"])]
    return asked


def span(target, fields):
    end = max(target[name] + size for name, size in fields.items() if target[name] != NONE)
    return (end + 7) // 8 * 8


def build_id(path):
    notes = subprocess.run(["readelf", "-n", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                           universal_newlines=True).stdout
    found = re.search(r"Build ID: ([0-9a-f]+)", notes)
    return found.group(1) if found else "none"


def differences(first, second):
    return ["%s.%s is %s, not %s" % (part, name, second[part][name], value)
            for part in first for name, value in first[part].items() if second[part][name] != value]


def main():
    builds = [Build(*argument.split("=", 1)) for argument in sys.argv[1:]]
    if not builds:
        sys.exit(__doc__)
    rows, told = {}, []
    for build in builds:
        row = build.row()
        line = "%s, build id %s" % (build.version, build.build_id)
        if build.minor in rows:
            unlike = differences(rows[build.minor], row)
            line += ": compared, " + ("; ".join(unlike) if unlike else "equal")
        else:
            rows[build.minor] = row
        told.append((build.minor, line))
    print("/* SPDX-License-Identifier: Apache-2.0 */\n/*\n"
          " * Generated by tests/tools/offsets.py from debug information; do not edit. x86-64 builds of CPython:")
    for _, line in sorted(told, key=lambda t: t[0]):
        print(" *   " + line)
        print(line, file=sys.stderr)
    print(" */")
    for minor in sorted(rows):
        print("{")
        for part in ("target", "objects"):
            print("        .%s = {" % part)
            for name, value in rows[minor][part].items():
                print("                .%s = %s," % (name, value))
            print("        },")
        described = dict(rows[minor]["described"])
        if described:
            print("        .debug_free_threaded = %d," % described.pop("debug_free_threaded"))
            print("        .described = {")
            for name, value in described.items():
                print("                { %d, offsetof(struct row, %s) }," % (value, name))
            print("        },")
        print("},")


if __name__ == "__main__":
    main()
