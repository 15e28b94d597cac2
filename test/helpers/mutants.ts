/** A value with each of its parts in turn of another type, or missing. */
export function* mutants(value: unknown): Generator<unknown> {
  yield* [null, 'x', -1, [], {}, [null], { a: null }, true];
  if (typeof value !== 'object' || value === null) return;
  for (const [key, part] of Object.entries(value)) {
    const put = (other: unknown) =>
      Array.isArray(value) ? value.with(Number(key), other) : { ...value, [key]: other };
    for (const other of mutants(part)) yield put(other);
    yield put(undefined);
  }
}
