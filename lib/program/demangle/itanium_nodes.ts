/**
 * What a mangled C++ name says, as a tree.
 *
 * A substitution in the name is the same node once more, so a tree is a graph without circles, and
 * its text may be longer than any limit; who prints it counts.
 *
 * `itanium.ts` makes trees, `itanium_text.ts` prints them.
 *
 * @module
 */

/** The template arguments of a function, which its parameters may name before they are read. */
export interface TemplateScope {
  /** The arguments, once they have been read. */
  args: readonly Node[] | undefined;
}

/** One part of a name. */
export type Node =
  | { readonly kind: "name"; readonly text: string; readonly full?: string }
  | { readonly kind: "builtin"; readonly text: string }
  | { readonly kind: "qualified"; readonly left: Node; readonly right: Node }
  | { readonly kind: "local"; readonly function: Node; readonly entity: Node }
  | { readonly kind: "template"; readonly name: Node; readonly args: readonly Node[] }
  | { readonly kind: "tagged"; readonly name: Node; readonly tag: string }
  | { readonly kind: "structor"; readonly of: Node; readonly isDestructor: boolean }
  | { readonly kind: "operator"; readonly code: string; readonly text: string }
  | { readonly kind: "literal_operator"; readonly name: Node }
  | { readonly kind: "conversion"; readonly type: Node }
  | { readonly kind: "binding"; readonly names: readonly Node[] }
  | { readonly kind: "lambda"; readonly parameters: readonly Node[]; readonly number: number }
  | { readonly kind: "special"; readonly text: string; readonly of: Node; readonly more?: Special }
  | Encoding
  | TypeNode
  | ExpressionNode;

/** What stands behind the name in a special one: `-in-` and a second type. */
interface Special {
  /** Text between both. */
  readonly text: string;
  /** The second one. */
  readonly of: Node;
}

/** A function's name with its type, or a variable's name. */
export interface Encoding {
  readonly kind: "encoding";
  /** The qualified name. */
  readonly name: Node;
  /** The function's type. */
  readonly type: FunctionType;
  /** `const`, `&` and the like, of `this`. */
  readonly qualifiers: string;
}

/** A function's type. */
export interface FunctionType {
  readonly kind: "function";
  /** What it returns; undefined where the name does not say. */
  readonly result: Node | undefined;
  /** Types of its parameters. */
  readonly parameters: readonly Node[];
  /** What stands behind the parameters, with a blank in front of each. */
  readonly qualifiers: readonly Node[];
}

/** A part of a type. */
export type TypeNode =
  | FunctionType
  | { readonly kind: "pointer"; readonly mark: "*" | "&" | "&&"; readonly to: Node }
  | { readonly kind: "qualifier"; readonly text: string; readonly of: Node }
  | { readonly kind: "member"; readonly class: Node; readonly of: Node }
  | { readonly kind: "array"; readonly size: Node | undefined; readonly of: Node }
  | { readonly kind: "vector"; readonly size: Node; readonly of: Node }
  | { readonly kind: "parameter"; readonly index: number; readonly scope: TemplateScope }
  | { readonly kind: "pack"; readonly items: readonly Node[] }
  | { readonly kind: "expansion"; readonly of: Node }
  | { readonly kind: "decltype"; readonly of: Node }
  | { readonly kind: "noexcept"; readonly of: Node | undefined }
  | { readonly kind: "throws"; readonly types: readonly Node[] }
  | { readonly kind: "text"; readonly text: string };

/** A part of an expression. */
export type ExpressionNode =
  | {
    readonly kind: "unary";
    readonly code: string;
    readonly of: Node;
    readonly isPostfix: boolean;
  }
  | { readonly kind: "cast"; readonly type: Node; readonly of: Node }
  | { readonly kind: "binary"; readonly code: string; readonly left: Node; readonly right: Node }
  | { readonly kind: "ternary"; readonly parts: readonly [Node, Node, Node] }
  | {
    readonly kind: "fold";
    readonly code: string;
    readonly by: Node;
    readonly of: readonly Node[];
  }
  | { readonly kind: "new"; readonly code: string; readonly parts: readonly [Node, Node, Node?] }
  | { readonly kind: "list"; readonly items: readonly Node[] }
  | { readonly kind: "braces"; readonly type: Node | undefined; readonly items: Node }
  | { readonly kind: "literal"; readonly type: Node; readonly value: string }
  | { readonly kind: "argument"; readonly index: number };
