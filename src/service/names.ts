/** Names of resources and of subscriptions. */
export const namePattern = /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?$/;

export const nameRule =
  "1 to 80 letters, digits, '_', '.', '-', a letter, digit or '_' first and last, and not '__proto__'";

/** As a key of an object, `__proto__` would be none. */
export const isName = (text: string): boolean => namePattern.test(text) && text !== '__proto__';
