/**
 * The own properties of an object, and nothing that it inherits: a property that somebody else put into `Object.prototype` is no
 * option, and no fact.
 */
export function own<T extends object>(given: T): T {
  return Object.assign(Object.create(null) as T, given);
}
