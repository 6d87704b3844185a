/**
 * The shell in a real terminal: keys, Ctrl-Z and fg, history, pager, signals.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { missingTool } from "../program/elf_oracle.ts";
import { fixture } from "./command_line.ts";
import { PseudoTerminal } from "./pseudo_terminal.ts";

const ignore = await missingTool("script");
const SHELL = `$HARTRACE shell -q ${fixture("sample_p84")}`;
const PROMPT = /tracing# (?:\S\[\d+G)?$/;

/** Runs a test in a state folder of its own. */
async function session(
  use: (env: Readonly<Record<string, string>>, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use({ XDG_STATE_HOME: folder }, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test({
  name: "shell edits lines, searches and keeps its history in a terminal (needs script)",
  ignore,
  fn: () =>
    session(async (env, folder) => {
      {
        await using terminal = new PseudoTerminal(SHELL, env);
        await terminal.shows(PROMPT);
        await terminal.type("echo one\r", /one\r\n.*tracing# /s);
        await terminal.type(" echo unkept\r", /unkept\r\n.*tracing# /s);
        await terminal.type("b price_of\r", /Breakpoint 1 .*tracing# /s);
        await terminal.type("c\r", /Breakpoint 1, .*tracing# /s);
        // An empty line does what moves the guest again.
        await terminal.type("ni\r", /price_of\+0x4\/.*tracing# /s);
        await terminal.type("\r", /price_of\+0x8\/.*tracing# /s);
        // Ctrl-A, a word on, Ctrl-K; Ctrl-U; Ctrl-W.
        await terminal.type("cat README", /README/);
        await terminal.type("\x01\x1bf\x0b current_tracer x\x17\r", /nop\r\n.*tracing# /s);
        await terminal.type("exit 5\r", /exit 5/);
        assertEquals(await terminal.ends(), 5);
      }
      const history = await Deno.readTextFile(`${folder}/hartrace/history`);
      assertMatch(history, /^echo one\nb price_of\nc\nni\ncat {2}current_tracer \nexit 5\n$/);
      assertEquals((await Deno.stat(`${folder}/hartrace/history`)).mode! & 0o777, 0o600);
      await using terminal = new PseudoTerminal(SHELL, env);
      await terminal.shows(PROMPT);
      await terminal.type("\x12pri", /reverse-i-search\)`pri': b price_of/);
      await terminal.type("\x07", PROMPT);
      await terminal.type("\x12o", /search\)`o': b price_of/);
      await terminal.type("\x12", /search\)`o': echo one/);
      await terminal.type(" two\r", /failed reverse/);
    }),
});

Deno.test({
  name: "shell completes functions, words and files of the host (needs script)",
  ignore,
  fn: () =>
    session(async (env, folder) => {
      await Deno.writeTextFile(`${folder}/listing.txt`, "");
      await using terminal = new PseudoTerminal(SHELL, env);
      await terminal.shows(PROMPT);
      await terminal.type("break pric\t", /break price_of/);
      await terminal.type("\x15echo pric\t", /echo price_of/);
      await terminal.type("\x15info br\t", /info breakpoints/);
      await terminal.type("\x15cat current_t\t", /cat current_tracer/);
      await terminal.type(`\x15cat trace !> ${folder}/lis\t`, /listing\.txt/);
    }),
});

Deno.test({
  name: "shell inserts what is pasted, and runs no line before Enter (needs script)",
  ignore,
  fn: () =>
    session(async (env) => {
      await using terminal = new PseudoTerminal(SHELL, env);
      await terminal.shows(PROMPT);
      await terminal.type("\x1b[200~echo first\necho\tsecond\n\x1b[201~", /echo first/);
      await terminal.type("\r", /first\r\n.*echo second/s);
      const { length } = terminal.text;
      await terminal.type("\r", /second\r\n.*tracing# /s);
      assertEquals(/second\r\n/.test(terminal.text.slice(0, length)), false);
      // Lines that come at once are all heard.
      await terminal.type("echo a1\recho b2\recho c3\r", /a1\r\n.*b2\r\n.*c3\r\n/s);
    }),
});

Deno.test({
  name: "Ctrl-Z stops the shell with the terminal as it was, and fg asks again (needs script)",
  ignore: ignore || await missingTool("bash"),
  fn: () =>
    session(async (env) => {
      const bash = `bash --norc --noediting -i`;
      await using terminal = new PseudoTerminal(bash, { ...env, PS1: "bash> " });
      await terminal.shows(/bash> $/);
      await terminal.type(`${SHELL}\r`, PROMPT);
      await terminal.type("echo half", /half/);
      const stopped = await terminal.type("\x1a", /Stopped.*bash> $/s);
      assertStringIncludes(stopped, "\x1b[?2004l");
      await terminal.type("stty -a\r", /[^-]icanon.*bash> $/s);
      await terminal.type("fg\r", /tracing# echo half/);
      await terminal.type(" done\r", /half done\r\n/);
      await terminal.type("exit 4\r", /bash> $/);
      await terminal.type("echo code=$?\r", /code=4\r\n/);
      await terminal.type("exit\r", /exit/);
      await terminal.ends();
    }),
});

for (const [signal, code] of [["TERM", 143], ["HUP", 129]] as const) {
  Deno.test({
    name: `SIG${signal} ends the shell with ${code} and gives the terminal back (needs script)`,
    ignore,
    fn: () =>
      session(async (env) => {
        const command = `${SHELL}; echo code=$?; stty -a`;
        await using terminal = new PseudoTerminal(command, env);
        await terminal.shows(PROMPT);
        await terminal.type(`!kill -${signal} $PPID\r`, new RegExp(`code=${code}`));
        await terminal.shows(/[^-]icanon/);
      }),
  });
}

Deno.test({
  name: "shell pages what is longer than the screen, unless it is not to (needs script)",
  ignore,
  fn: () =>
    session(async (env) => {
      const pager = { ...env, PAGER: "sed 's/^/paged: /'" };
      await using terminal = new PseudoTerminal(`stty rows 10 cols 80; ${SHELL}`, pager);
      await terminal.shows(PROMPT);
      await terminal.type("cat README\r", /paged: .*tracing# /s);
      const short = await terminal.type("cat current_tracer\r", /nop\r\n.*tracing# /s);
      assertEquals(short.includes("paged"), false);
      await terminal.type("set pagination off\r", /off\r+\n.*tracing# /s);
      const whole = await terminal.type("cat README\r", PROMPT);
      assertEquals(whole.includes("paged"), false);
    }),
});
