/** What the code does where there is no `/proc`, whatever the system. */
export function elsewhere<T>(act: () => T): T {
  const platform = Object.getOwnPropertyDescriptor(process, 'platform') as PropertyDescriptor;
  // On Deno it is read by a function, which no value may stand beside.
  Object.defineProperty(process, 'platform', { value: 'freebsd', configurable: true, enumerable: true });
  try {
    return act();
  } finally {
    Object.defineProperty(process, 'platform', platform);
  }
}
