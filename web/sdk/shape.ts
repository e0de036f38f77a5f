/**
 * Shapes of JSON values: one description gives both the static type and the check at run time.
 * A shape answers `undefined` for a value that does not fit; fields it does not name are left out.
 */
export type Shape<T> = (value: unknown) => T | undefined;

/** The type that a shape describes. */
export type Of<S> = S extends Shape<infer T> ? T : never;

export const text: Shape<string> = (value) => (typeof value === 'string' ? value : undefined);

export const flag: Shape<boolean> = (value) => (typeof value === 'boolean' ? value : undefined);

/** A whole number from 0 that JavaScript holds exactly. */
export const count: Shape<number> = (value) =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;

/** One of the given words. */
export function word<const W extends string>(...words: readonly W[]): Shape<W> {
  return (value) => words.find((known) => known === value);
}

export function list<T>(item: Shape<T>): Shape<readonly T[]> {
  return (value) => {
    if (!Array.isArray(value)) return undefined;
    const items: (T | undefined)[] = value.map(item);
    return items.includes(undefined) ? undefined : (items as T[]);
  };
}

/** A field that may be `null`. */
export function nullable<T>(inner: Shape<T>): Shape<T | null> {
  return (value) => (value === null || value === undefined ? null : inner(value));
}

const absent: unique symbol = Symbol('absent');

/** A field that may be missing. */
export function optional<T>(inner: Shape<T>): Optional<T> {
  return Object.assign((value: unknown) => inner(value), { [absent]: true as const });
}
export type Optional<T> = Shape<T> & { readonly [absent]: true };

type Fields = Readonly<Record<string, Shape<unknown>>>;
type ObjectOf<F extends Fields> = {
  readonly [K in keyof F as F[K] extends Optional<unknown> ? never : K]: Of<F[K]>;
} & { readonly [K in keyof F as F[K] extends Optional<unknown> ? K : never]?: Of<F[K]> };

export function object<F extends Fields>(fields: F): Shape<ObjectOf<F>> {
  return (value) => {
    if (typeof value !== 'object' || value === null) return undefined;
    const source = value as Record<string, unknown>;
    const result: Record<string, unknown> = {};
    for (const [name, shape] of Object.entries(fields)) {
      if (source[name] === undefined && absent in shape) continue;
      const field: unknown = shape(source[name]);
      if (field === undefined) return undefined;
      result[name] = field;
    }
    return result as ObjectOf<F>;
  };
}

type Variants = Readonly<Record<string, Shape<object>>>;
type TaggedOf<V extends Variants> = { [K in keyof V & string]: { readonly type: K } & Of<V[K]> }[keyof V & string];

/** A union told apart by its field `type`. */
export function tagged<V extends Variants>(variants: V): Shape<TaggedOf<V>> {
  return (value) => {
    const type: unknown = (value as { type?: unknown } | null)?.type;
    if (typeof type !== 'string' || !Object.hasOwn(variants, type)) return undefined;
    const body: object | undefined = variants[type]?.(value);
    return body && ({ type, ...body } as TaggedOf<V>);
  };
}
