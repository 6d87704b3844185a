/**
 * Lint plugin: keeps files and functions small enough to read one by one.
 *
 * In `lib` and `plugins` no file imports itself by way of others (types count: a reader follows them
 * too), no file is longer than 500 lines, no body of a function than 80 (lines of a literal of data
 * count as one there), and no file has a name that says nothing. In
 * `lib` only `host` and `cli` know what program they run in.
 *
 * Which room may import which is `lint_rooms.ts`.
 *
 * @module
 */

/** Most lines between the braces of a function; lines of a literal of data count as one. */
const MOST_LINES = 80;
/** Most lines of a file that is no table. */
const MOST_FILE_LINES = 500;
/** File names that tell nobody what is inside. */
const EMPTY_NAMES = /^(utils?|types|helpers?|common|misc|index)\.ts$/;

const root = new URL("..", import.meta.url);

/** The path of a linted file from the project's folder on. */
function pathOf(filename: string): string {
  return new URL(`file://${filename}`).href.slice(root.href.length);
}

/** Whether the rules are for the file at `path`. */
function isOurs(path: string): boolean {
  return /^(lib|plugins)\//.test(path);
}

// ---- circles

/** How long what was read of another file is believed, for an editor that lints again and again. */
const FRESH_MS = 2000;
const read = new Map<string, { readonly at: number; readonly imports: readonly string[] }>();
const IMPORT =
  /^\s*(?:import|export)\b[^;"'`]*?["']([^"'\n]+)["']|\bimport\(\s*["']([^"'\n]+)["']/gm;

/** The file of `lib` or `plugins` that a specifier in `path` names, if it names one. */
function resolve(path: string, specifier: string): string[] {
  if (!specifier.startsWith(".")) return [];
  const target = new URL(specifier, new URL(path, root)).href.slice(root.href.length);
  return isOurs(target) && target.endsWith(".ts") ? [target] : [];
}

/** What the file at `path` imports, as it is on the disk; nothing if it is not there. */
function importsOf(path: string): readonly string[] {
  const known = read.get(path);
  if (known && Date.now() - known.at < FRESH_MS) return known.imports;
  let text = "";
  try {
    text = Deno.readTextFileSync(new URL(path, root));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const imports = [...text.matchAll(IMPORT)].flatMap((match) =>
    resolve(path, match[1] ?? match[2]!)
  );
  read.set(path, { at: Date.now(), imports });
  return imports;
}

/** The shortest way by imports from one file to another, both included. */
function wayBetween(from: string, to: string): readonly string[] | undefined {
  const before = new Map<string, string | undefined>([[from, undefined]]);
  for (const path of before.keys()) {
    if (path === to) {
      const way: string[] = [];
      for (let at: string | undefined = to; at !== undefined; at = before.get(at)) way.unshift(at);
      return way;
    }
    for (const next of importsOf(path)) if (!before.has(next)) before.set(next, path);
  }
  return undefined;
}

function noCircle(context: Deno.lint.RuleContext, path: string): Deno.lint.LintVisitor {
  const check = (node: Deno.lint.Node, specifier: unknown) => {
    if (typeof specifier !== "string") return;
    for (const target of resolve(path, specifier)) {
      const way = wayBetween(target, path);
      if (way) {
        const message = `imports form a circle: ${[path, ...way].join(" → ")}`;
        context.report({ node, message });
      }
    }
  };
  return {
    ImportDeclaration: (node) => check(node, node.source.value),
    ExportAllDeclaration: (node) => check(node, node.source.value),
    ExportNamedDeclaration: (node) => check(node, node.source?.value),
    ImportExpression(node) {
      if (node.source.type === "Literal") check(node, node.source.value);
    },
  };
}

// ---- bodies

type Body =
  | Deno.lint.FunctionDeclaration
  | Deno.lint.FunctionExpression
  | Deno.lint.ArrowFunctionExpression;

/** What a function is called where it stands, or what it is assigned to. */
function nameOf(node: Body): string {
  if (node.type !== "ArrowFunctionExpression" && node.id) return node.id.name;
  const { parent } = node;
  switch (parent.type) {
    case "VariableDeclarator":
      return parent.id.type === "Identifier" ? parent.id.name : "anonymous";
    case "MethodDefinition":
    case "PropertyDefinition":
    case "Property":
      if (parent.key.type === "Identifier") return parent.key.name;
      return parent.key.type === "PrivateIdentifier" ? `#${parent.key.name}` : "anonymous";
    default:
      return "anonymous";
  }
}

/** A literal or a function that the one being read is in. */
interface Open {
  readonly node: Deno.lint.Node;
  /** Lines of literals of data, less one each. */
  saved: number;
  hasFunction: boolean;
}

function shortBody(context: Deno.lint.RuleContext): Deno.lint.LintVisitor {
  const { text } = context.sourceCode;
  const linesBetween = ([start, end]: Deno.lint.Range) => {
    let lines = 0;
    for (let at = text.indexOf("\n", start); at >= 0 && at < end; at = text.indexOf("\n", at + 1)) {
      lines++;
    }
    return lines;
  };
  const open: Open[] = [];
  const enter = (node: Deno.lint.Node) => void open.push({ node, saved: 0, hasFunction: false });
  const leaveLiteral = (node: Deno.lint.Node) => {
    const { saved, hasFunction } = open.pop()!;
    const outer = open.at(-1);
    if (!outer) return;
    if (hasFunction) outer.hasFunction = true;
    outer.saved += hasFunction ? saved : linesBetween(node.range);
  };
  const leaveFunction = (node: Body) => {
    const { saved } = open.pop()!;
    const outer = open.at(-1);
    if (outer) {
      outer.hasFunction = true;
      outer.saved += saved;
    }
    const lines = node.body ? linesBetween(node.body.range) - 1 - saved : 0;
    if (lines <= MOST_LINES) return;
    const message = `the body of ${nameOf(node)} has ${lines} lines; ${MOST_LINES} are the most`;
    context.report({ node, message });
  };
  return {
    ArrayExpression: enter,
    ObjectExpression: enter,
    FunctionDeclaration: enter,
    FunctionExpression: enter,
    ArrowFunctionExpression: enter,
    "ArrayExpression:exit": leaveLiteral,
    "ObjectExpression:exit": leaveLiteral,
    "FunctionDeclaration:exit": leaveFunction,
    "FunctionExpression:exit": leaveFunction,
    "ArrowFunctionExpression:exit": leaveFunction,
  };
}

// ---- what a program runs in

function hostDoor(context: Deno.lint.RuleContext, path: string): Deno.lint.LintVisitor {
  if (!/^lib\/(?!host\/|cli\/)/.test(path)) return {};
  const report = (node: Deno.lint.Node, what: string) =>
    context.report({ node, message: `${what} is for lib/host and lib/cli` });
  const check = (node: Deno.lint.Node, specifier: unknown) => {
    if (typeof specifier === "string" && specifier.startsWith("node:")) report(node, "node:");
  };
  return {
    Identifier(node) {
      if (node.name === "Deno") report(node, "Deno");
    },
    ImportDeclaration: (node) => check(node, node.source.value),
    ExportAllDeclaration: (node) => check(node, node.source.value),
    ExportNamedDeclaration: (node) => check(node, node.source?.value),
    ImportExpression(node) {
      if (node.source.type === "Literal") check(node, node.source.value);
    },
  };
}

// ---- names

function tellingName(context: Deno.lint.RuleContext, path: string): Deno.lint.LintVisitor {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return {
    Program(node) {
      if (!EMPTY_NAMES.test(name)) return;
      const message = `${name} does not say what is in it; name the file for that`;
      context.report({ node, message });
    },
  };
}

// ---- length of files

function shortFile(context: Deno.lint.RuleContext, path: string): Deno.lint.LintVisitor {
  const { text } = context.sourceCode;
  return {
    Program(node) {
      const lines = text.split("\n").length - 1;
      if (lines <= MOST_FILE_LINES) return;
      const name = path.slice(path.lastIndexOf("/") + 1);
      context.report({
        node,
        message: `${name} has ${lines} lines; ${MOST_FILE_LINES} are the most`,
      });
    },
  };
}

type Check = (context: Deno.lint.RuleContext, path: string) => Deno.lint.LintVisitor;

const CHECKS: Readonly<Record<string, Check>> = {
  "no-circle": noCircle,
  "short-body": shortBody,
  "host-door": hostDoor,
  "short-file": shortFile,
  "telling-name": tellingName,
};

const plugin: Deno.lint.Plugin = {
  name: "structure",
  rules: Object.fromEntries(
    Object.entries(CHECKS).map(([name, check]): [string, Deno.lint.Rule] => [name, {
      create(context) {
        const path = pathOf(context.filename);
        return isOurs(path) ? check(context, path) : {};
      },
    }]),
  ),
};
export default plugin;
