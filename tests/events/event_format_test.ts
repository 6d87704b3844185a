import { assertEquals, assertThrows } from "@std/assert";
import {
  COMMON_FIELDS,
  decodeRecord,
  encodeRecord,
  type EventField,
  type EventValues,
  layoutFields,
} from "../../lib/events/event_fields.ts";
import {
  compilePrint,
  declarationOf,
  eventFormat,
  printFormatOf,
} from "../../lib/events/event_format.ts";
import { builtInEvents } from "../../lib/ftrace/trace/builtin_events.ts";
import { KERNELS, readCaptureText } from "../output/captures.ts";

interface Captured {
  readonly text: string;
  readonly name: string;
  readonly fields: readonly string[];
}

/** The format files in a capture: a heading before each. */
function formats(kernel: (typeof KERNELS)[number], file: string): Captured[] {
  const text = readCaptureText(kernel, file);
  return text.split(/^== .*\n/m).filter((each) => each !== "").map((each) => ({
    text: each,
    name: /^name: (.*)$/m.exec(each)![1]!,
    fields: [...each.matchAll(/^\tfield:.*$/gm)].map(([line]) => line),
  }));
}

/** A field's declaration as `layoutFields` takes it. */
function typeOf(line: string): readonly [name: string, type: string] {
  const declaration = /field:(.*?);/.exec(line)![1]!;
  const [, type, name, brackets = ""] = /^(.*[ *])(\w+)(\[\d*\])?$/.exec(declaration)!;
  return [name!, type!.trim() + brackets];
}

const lineOf = (field: EventField) =>
  `\tfield:${declarationOf(field)};\toffset:${field.offset};\tsize:${field.size};` +
  `\tsigned:${field.signed ? 1 : 0};`;

Deno.test("layoutFields() puts every captured event's fields where the kernel has them", () => {
  let checked = 0;
  for (const kernel of KERNELS) {
    for (const file of ["events_formats", "events_ftrace_formats", "kprobe_formats"]) {
      for (const { name, fields } of formats(kernel, file)) {
        const own = fields.slice(COMMON_FIELDS.length);
        // Events of system calls widen each argument to a long, whatever its C type.
        if (/^sys_(enter|exit)_/.test(name)) continue;
        const laid = layoutFields(Object.fromEntries(own.map(typeOf)), {
          packed: file === "kprobe_formats",
        });
        const expected = own.map((line) =>
          // Probes call the place of a string signed, tracepoints do not.
          line.includes("__data_loc") ? line.replace("signed:1", "signed:0") : line
        );
        assertEquals(laid.map(lineOf), expected, `${kernel} ${name}`);
        checked++;
      }
    }
  }
  assertEquals(checked > 40, true, `${checked} formats`);
});

Deno.test("eventFormat() describes the tracers' events as both kernels do, to the character", () => {
  for (const kernel of KERNELS) {
    const captured = formats(kernel, "events_ftrace_formats");
    for (const event of builtInEvents(kernel === "7.2")) {
      const found = captured.find(({ name }) => name === event.name);
      assertEquals(eventFormat(event).trimEnd(), found?.text.trimEnd(), `${kernel} ${event.name}`);
    }
  }
});

Deno.test("encodeRecord() and decodeRecord() are inverse for every kind of field", () => {
  const fields = layoutFields({
    flag: "bool",
    small: "s8",
    half: "u16",
    word: "s32",
    wide: "u64",
    pointer: "void *",
    comm: "char[8]",
    list: "u32[3]",
    text: "string",
    cpus: "cpumask",
    bits: "bitmask",
    more: "__data_loc s16[]",
  });
  const values: EventValues = {
    flag: 1,
    small: -1,
    half: 65535,
    word: -2147483648,
    wide: 2n ** 64n - 1n,
    pointer: 0x80001234n,
    comm: "parse",
    list: [1, 2, 0xffffffff],
    text: "größer",
    cpus: [0, 3],
    bits: [1, 64, 127],
    more: [-1, 2],
  };
  const head = { type: 300, flags: 1, preemptCount: 2, pid: 1000 };
  const bytes = encodeRecord(fields, head, values);
  assertEquals(decodeRecord(fields, bytes), { head, values });
  // The loc of `text`: 9 bytes with the NUL, right behind the struct.
  const text = fields.find(({ name }) => name === "text")!;
  const more = fields.at(-1)!;
  const place = new DataView(bytes.buffer).getUint32(text.offset, true);
  assertEquals(place, 9 << 16 | (more.offset + more.size));
});

Deno.test("encodeRecord() cuts values to the field's size, as C does", () => {
  const fields = layoutFields({ a: "u8", b: "s8", c: "char[4]" });
  const head = { type: 1, flags: 0, preemptCount: 0, pid: 1 };
  const bytes = encodeRecord(fields, head, { a: 257, b: 255n, c: "abcdef" });
  assertEquals(decodeRecord(fields, bytes).values, { a: 1, b: -1, c: "abc" });
});

Deno.test("encodeRecord() takes booleans for numbers of any size, and refuses what no field can point at", () => {
  const fields = layoutFields({ wide: "u64", narrow: "bool", text: "string" });
  const head = { type: 1, flags: 0, preemptCount: 0, pid: 1 };
  const bytes = encodeRecord(fields, head, { wide: true, narrow: false, text: "" });
  assertEquals(decodeRecord(fields, bytes).values, { wide: 1n, narrow: 0, text: "" });
  const long = { wide: 0, narrow: 0, text: "x".repeat(70_000) };
  assertThrows(() => encodeRecord(fields, head, long), RangeError, "65535");
});

Deno.test("encodeRecord() refuses a value of another kind, and a missing one", () => {
  const fields = layoutFields({ a: "u32", s: "string", l: "u8[2]" });
  const head = { type: 1, flags: 0, preemptCount: 0, pid: 1 };
  for (
    const values of [
      { a: "1", s: "", l: [] },
      { a: 1.5, s: "", l: [] },
      { s: "", l: [] },
      { a: 1, s: 1, l: [] },
      { a: 1, s: "", l: [1, 2, 3] },
      { a: 1, s: "", l: 1 },
    ] as unknown as EventValues[]
  ) {
    assertThrows(() => encodeRecord(fields, head, values), TypeError, "Cannot emit");
  }
});

Deno.test("compilePrint() prints as the kernel's printf", () => {
  const symbol = (address: bigint) =>
    address >= 0x1000n && address < 0x1020n
      ? { name: "bill", address: 0x1000n, size: 32n }
      : undefined;
  const print = (format: string, type: string, value: EventValues[string]) => {
    const fields = layoutFields({ f: type });
    return compilePrint(format, fields)({ f: value }, symbol);
  };
  assertEquals(
    [
      print("%d%%", "int", -5),
      print("[%5d]", "int", 42),
      print("[%-5d]", "int", 42),
      print("%05d", "int", -42),
      print("%+d", "int", 42),
      print("%u", "int", -1),
      print("%lu", "long", -1n),
      print("%hhx", "u32", 0x1ff),
      print("%#x", "u32", 255),
      print("%#o", "u32", 8),
      print("%Lx", "u64", 2n ** 63n),
      print("%08llX", "u64", 0xabcn),
      print("%.3d", "int", 7),
      print("%c", "u8", 65),
      print("%ps", "void *", 0x1004n),
      print("%pS", "void *", 0x1004n),
      print("%ps", "void *", 0x2000n),
      print("%p", "void *", 0x1000n),
      print("[%8s]", "string", "abc"),
      print("[%.2s]", "string", "abc"),
      print("%s", "u16[2]", [1, 255]),
      print("%s", "cpumask", [0, 33]),
    ],
    [
      "-5%",
      "[   42]",
      "[42   ]",
      "-0042",
      "+42",
      "4294967295",
      "18446744073709551615",
      "ff",
      "0xff",
      "010",
      "8000000000000000",
      "00000ABC",
      "007",
      "A",
      "bill",
      "bill+0x4/0x20",
      "0x2000",
      "0000000000001000",
      "[     abc]",
      "[ab]",
      "{0x1,0xff}",
      "00000002,00000001",
    ],
  );
});

Deno.test("compilePrint() refuses what does not fit, and says which", () => {
  const fields = layoutFields({ a: "u32", s: "string" });
  assertThrows(() => compilePrint("%y", fields), SyntaxError, '"%y"');
  assertThrows(() => compilePrint("%u %s %u", fields), SyntaxError, "more conversions");
  assertThrows(() => compilePrint("%s", fields), SyntaxError, "%s does not fit a");
  assertThrows(() => compilePrint("%u %u", fields), SyntaxError, "%u does not fit s");
  assertThrows(() => layoutFields({ a: "float" }), SyntaxError, '"float"');
  assertThrows(() => layoutFields({ "a b": "u8" }), SyntaxError, "C identifier");
});

Deno.test("printFormatOf() names the macros that readers of a format file know", () => {
  const fields = layoutFields({ s: "string", c: "char[4]", l: "u16[2]", m: "cpumask", u: "u8" });
  assertEquals(
    printFormatOf('"%s"\n%s %s %s %u', fields),
    '"\\"%s\\"\\n%s %s %s %u", __get_str(s), REC->c, __print_array(REC->l, 2, 2), ' +
      "__get_cpumask(m), REC->u",
  );
});
