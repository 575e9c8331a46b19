import { invalidArgument } from '../../../platform/errors.ts';

/** Tokens of a list by falling numbers: the last number of a page, in a form that nobody is to read. `what` tells lists apart. */
export function numberedPage(what: string) {
  const write = (last: number): string => Buffer.from(`${what}/${last}`).toString('base64url');
  return {
    write,
    /** Empty: the first page. Throws `invalid_argument` for what was never given out. */
    read(token: string): number | undefined {
      if (token === '') return undefined;
      const [, found, digits] = /^(\w+)\/(\d{1,15})$/.exec(Buffer.from(token, 'base64url').toString('latin1')) ?? [];
      if (found === what && digits !== undefined && write(Number(digits)) === token) return Number(digits);
      throw invalidArgument([{ field: 'page.page_token', description: 'is not the next_page_token of an answer' }]);
    },
  };
}
