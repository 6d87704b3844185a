import { assertEquals, assertThrows } from "@std/assert";
import { parseShellLine, UnfinishedLine } from "../../lib/cli/shell_words.ts";

/** A line as its words, redirections and joints, in a form that is easy to write down. */
function read(line: string): unknown[] {
  return parseShellLine(line).map(({ commands, after }) => [
    after,
    ...commands.map(({ words, input, output }) => [
      ...words.map((word) => word.text(7)),
      ...(input ? [`<${input.text(7)}`] : []),
      ...(output ? [`${output.append ? ">>" : ">"}${output.file.text(7)}`] : []),
    ]),
  ]);
}

Deno.test("parseShellLine() gives words, redirections and joints", () => {
  const cases: [string, unknown[]][] = [
    ["", []],
    ["  # only a comment", []],
    ["echo a  b", [["anything", ["echo", "a", "b"]]]],
    ["echo 1>tracing_on", [["anything", ["echo", "1", ">tracing_on"]]]],
    ["echo foo >> x # why", [["anything", ["echo", "foo", ">>x"]]]],
    ["cat a|grep b;ls", [["anything", ["cat", "a"], ["grep", "b"]], ["anything", ["ls"]]]],
    ["a && b || c", [["anything", ["a"]], ["success", ["b"]], ["failure", ["c"]]]],
    ["cat < x", [["anything", ["cat", "<x"]]]],
    ["a\nb", [["anything", ["a"]], ["anything", ["b"]]]],
    ["a #b\nc", [["anything", ["a"]], ["anything", ["c"]]]],
    ["echo a#b", [["anything", ["echo", "a#b"]]]],
    [">x", [["anything", [">x"]]]],
  ];
  for (const [line, wanted] of cases) assertEquals(read(line), wanted, line);
});

Deno.test("parseShellLine() removes quotes as a shell does", () => {
  const cases: [string, string[]][] = [
    [`'a b' "c d" e\\ f`, ["a b", "c d", "e f"]],
    [`'a"b' "a'b"`, [`a"b`, "a'b"]],
    [`"a\\"b\\\\c\\n"`, [`a"b\\c\\n`]],
    [`'r:x f $retval' "$retval" $retval`, ["r:x f $retval", "$retval", "$retval"]],
    [`a'b'"c"d`, ["abcd"]],
    [`''  ""`, ["", ""]],
    [`$? "$?" '$?' \\$?`, ["7", "7", "$?", "$?"]],
    [`a\\\nb`, ["ab"]],
    [`'!foo' foo:traceoff:3 *:mod:x`, ["!foo", "foo:traceoff:3", "*:mod:x"]],
  ];
  for (const [line, wanted] of cases) assertEquals(read(line), [["anything", wanted]], line);
});

Deno.test("parseShellLine() keeps a quoted star from being a glob", () => {
  const globs = parseShellLine(`a* 'a*' "a"* \\*b?`)[0]!.commands[0]!.words.map((word) =>
    word.glob
  );
  assertEquals(globs, ["a*", undefined, "a*", "\\*b?"]);
});

Deno.test("parseShellLine() asks for more where a line is not finished", () => {
  for (const line of [`echo 'a`, `echo "a`, "echo a\\", "a &&", "a |", "a ||\n"]) {
    assertThrows(() => parseShellLine(line), UnfinishedLine, undefined, line);
  }
});

Deno.test("parseShellLine() refuses what this shell does not have", () => {
  for (const line of ["a & b", "(a)", "echo `a`", "echo $(a)", "a ; ; |", "a >", "| a", "a && ;"]) {
    assertThrows(() => parseShellLine(line), SyntaxError, undefined, line);
  }
});

Deno.test("parseShellLine() leads to the host behind a !", () => {
  const host = (line: string) =>
    parseShellLine(line).map(({ commands, hostCommand, after }) => [
      after,
      commands.map(({ words }) => words.map((word) => word.text(0)).join(" ")).join("|"),
      commands.at(-1)?.output?.onHost ?? false,
      hostCommand,
    ]);
  assertEquals(host("!ls -l; echo 'a' | cat"), [["anything", "", false, "ls -l; echo 'a' | cat"]]);
  assertEquals(host("cat trace | head !| less -S; true\npwd"), [
    ["anything", "cat trace|head", false, "less -S; true"],
    ["anything", "pwd", false, undefined],
  ]);
  assertEquals(host("cat trace !> t.txt && cat x !>> t.txt"), [
    ["anything", "cat trace", true, undefined],
    ["success", "cat x", true, undefined],
  ]);
  assertEquals(host("true && !make"), [
    ["anything", "true", false, undefined],
    ["success", "", false, "make"],
  ]);
  // What begins inside a word is the word's: filters have such names.
  assertEquals(host("echo !foo > set_ftrace_filter"), [[
    "anything",
    "echo !foo",
    false,
    undefined,
  ]]);
  assertEquals(host("echo '!>' a!> b"), [["anything", "echo !> a!", false, undefined]]);
  for (const line of ["!", "cat x !|", "!  "]) {
    assertThrows(() => parseShellLine(line), UnfinishedLine, undefined, line);
  }
});

Deno.test("parseShellLine() takes an expression as one word", () => {
  const words = (line: string) =>
    parseShellLine(line).map(({ commands }) =>
      commands.map(({ words }) => words.map((word) => word.text(0)))
    );
  assertEquals(words("p $a0 & 0xff > 3 && *x; p 1"), [
    [["p", "$a0 & 0xff > 3 && *x"]],
    [["p", "1"]],
  ]);
  assertEquals(words("x/4i main | grep jal"), [[["x/4i", "main"], ["grep", "jal"]]]);
  assertEquals(words("p (1 | 2) || 3"), [[["p", "(1 | 2) || 3"]]]);
  assertEquals(words("p '$a0 | 1'"), [[["p", "$a0 | 1"]]]);
  assertEquals(words("b bill if $a0 > 1 && $a1; c"), [
    [["b", "bill", "if", "$a0 > 1 && $a1"]],
    [["c"]],
  ]);
  assertEquals(words("b main && run"), [[["b", "main"]], [["run"]]]);
  assertEquals(words("set {int}($sp + 8) = 1"), [[["set", "{int}($sp + 8) = 1"]]]);
  assertEquals(words("set -e"), [[["set", "-e"]]]);
  assertEquals(words("p\npwd"), [[["p"]], [["pwd"]]]);
});
