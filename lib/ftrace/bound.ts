/**
 * Binding of methods, for classes whose objects tracers are given.
 *
 * `const { unregister } = ftrace.kprobes` is how people write scripts, so a method has to know its
 * object without being called on it.
 *
 * @module
 */

/** Binds the public methods of an object to it; getters and private methods are left as they are. */
export function bindMethods(object: object): void {
  const prototype = Object.getPrototypeOf(object);
  for (const name of Object.getOwnPropertyNames(prototype)) {
    const { value } = Object.getOwnPropertyDescriptor(prototype, name)!;
    if (name === "constructor" || typeof value !== "function") continue;
    Object.defineProperty(object, name, { value: value.bind(object), configurable: true });
  }
}
