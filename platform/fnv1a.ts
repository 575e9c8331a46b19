/** FNV-1a of the bytes of UTF-8, 32 bits, unsigned. RFC 9923. */
export function fnv1a32(text: string): number {
  let sum = 0x811c9dc5;
  for (const byte of Buffer.from(text, 'utf8')) sum = Math.imul(sum ^ byte, 0x01000193);
  return sum >>> 0;
}

/** FNV-1a of the digits of FNV-1a, as GrowthBook does it: once hardly tells similar texts apart. 32 bits, unsigned. */
export function fnv1a32Twice(text: string): number {
  return fnv1a32(String(fnv1a32(text)));
}
