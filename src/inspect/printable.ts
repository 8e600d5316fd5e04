/**
 * Text from a capture, made safe to print: control characters would act on the terminal, and format characters would
 * rearrange the line.
 */
export const printable = (text: string): string => text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '·');
