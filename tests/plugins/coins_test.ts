import { assert, assertEquals } from "@std/assert";
import { traced } from "../ftrace/guest.ts";
import coins from "./coins.ts";

Deno.test("coins.ts records the events its filter passes, and counts all of them", async () => {
  const printed: string[] = [];
  const { ftrace, run } = await traced("sample_p84", { print: (text) => void printed.push(text) });
  const handle = coins.init(ftrace);
  await run();
  handle[Symbol.dispose]();
  const texts = [...ftrace.events()].map((event) => event.type === "event" && event.text);
  assertEquals(texts, [
    ...Array(4).fill("value=9 caller=common_coin"),
    "value=9 caller=bill",
  ]);
  const rows = printed.join("").split("\n").filter((line) => /^\{|Hits/.test(line));
  assertEquals(rows, [
    "{ value: ~ 2^11 } hitcount:          2",
    "{ value: ~ 2^4  } hitcount:          5",
    "    Hits: 7",
  ]);
});

Deno.test("the README shows coins.ts as it is", async () => {
  const root = new URL("../../", import.meta.url);
  const source = await Deno.readTextFile(new URL("tests/plugins/coins.ts", root));
  const readme = await Deno.readTextFile(new URL("README.md", root));
  assert(readme.includes(source.slice(source.indexOf("\n"))));
});
